"""
`cache.explain` for a statement: the real way to an answer, stopped at the end.

The statement goes through its session as it would, up to the point where it
would be served or sent; a probe in the answerer's place tells what was decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from yokedcache.errors import UsageError
from yokedcache.sqlalchemy.answers.answering import SessionAnswerer
from yokedcache.sqlalchemy.answers.statement_calls import Bypass, Hit
from yokedcache.sqlalchemy.attached import attachment_of
from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.functions.reaching import unwrap
from yokedcache.sqlalchemy.install import answering
from yokedcache.sqlalchemy.statements.clauses import analyse_compiled
from yokedcache.stats import Explanation, blamed, explain_key

if TYPE_CHECKING:
    from yokedcache.core.entry import Entry
    from yokedcache.machine import Machine
    from yokedcache.sqlalchemy.answers.statement_calls import StatementCall
    from yokedcache.sqlalchemy.attached import Attachment


def explain_statement(machine: Machine, statement: Any, session: Any) -> Explanation:
    """
    Tell how a session would be answered a statement now, and why.

    Raises:
        UsageError: the session isn't one, or isn't attached to a cache.
    """
    inner = unwrap(session)
    attachment = None if inner is None else attachment_of(inner)
    if inner is None or attachment is None:
        msg = (
            f"{session!r} is not attached to a cache: use cache.attach(...) or a "
            "session of cached_dependency"
        )
        raise UsageError(msg, session=repr(session))
    began = inner.get_transaction() is None
    try:
        with answering(inner, _Probe(machine, attachment)), inner.no_autoflush:
            inner.execute(statement)
    except _Explained as told:
        return told.explanation
    finally:
        transaction = inner.get_transaction()
        if began and transaction is not None:
            transaction.close()
    return Explanation(None, served=False, reason="not_a_select")


class _Explained(BaseException):
    """
    Carries the explanation out of the session; nothing else may catch it.
    """

    def __init__(self, explanation: Explanation) -> None:
        super().__init__()
        self.explanation = explanation


class _Probe(SessionAnswerer):
    """
    Decides as the answerer does, and tells instead of serving.
    """

    def __init__(self, machine: Machine, attachment: Attachment) -> None:
        super().__init__(attachment)
        self._explained = machine

    def begin(self, call: StatementCall) -> NoReturn:
        """
        Tell what would be served, or stored.
        """
        plan = super().begin(call)
        if isinstance(plan, Bypass):
            raise _Explained(_bypassed(call, plan.reason))
        database = database_of(call.engine.dialect)
        known = explain_key(self._explained, self.key_of(call), None)
        passed_over = known.served and not isinstance(plan, Hit)
        first = passed_over and getattr(plan, "first", False)
        analysis = analyse_compiled(call.prepared.compiled, database.dialect_name)
        tables = tuple(f"table:{table}" for table in sorted(analysis.reads))
        raise _Explained(
            Explanation(
                known.key,
                served=known.served and not passed_over,
                reason=_why(known.reason, passed_over=passed_over, first=first),
                depends_on=known.depends_on or tables,
                invalidated_by=known.invalidated_by
                or blamed(
                    self._explained,
                    database.tags_read(analysis.reads, database.catalogue),
                ),
                fresh_for=known.fresh_for,
                sql=call.prepared.sql,
                loading=known.loading,
            )
        )

    def bypassed(self, call: StatementCall, reason: str) -> NoReturn:
        """
        Tell why the statement goes to the database.
        """
        raise _Explained(_bypassed(call, reason))

    def _hit(self, call: StatementCall, entry: Entry) -> Hit:  # noqa: ARG002
        """
        Count nothing: nobody is served.
        """
        return Hit(entry.value.recording, entry.value)


def _why(reason: str, *, passed_over: bool, first: bool) -> str:
    if first:
        return "snapshot"
    return "older than the TTL asked for" if passed_over else reason


def _bypassed(call: StatementCall, reason: str) -> Explanation:
    prepared = getattr(call, "prepared", None)
    sql = None if prepared is None else prepared.sql
    return Explanation(None, served=False, reason=reason, sql=sql)

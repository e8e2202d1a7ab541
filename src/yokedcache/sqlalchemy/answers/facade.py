"""
The seam in the session: a stand-in for the connection of one statement.

`Session.execute` and everything built on it (queries, `get`, lazy and eager
loads) ask the session for a connection just before they run a statement, after
every listener and the autoflush. `install.install` makes that question return
a `CachingConnection`. It asks an `Answerer` whether rows are at hand and plays
them, or gets the real connection the way the session would have and runs the
statement there, recording on the way if the answerer wants that.

Whatever isn't plainly a read goes to the real connection untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.sql.selectable import Select
from sqlalchemy.util import immutabledict

from yokedcache.runtime.context import leading
from yokedcache.runtime.log import own_fault
from yokedcache.sqlalchemy.answers.fitness import (
    FAILED,
    SELECTS,
    base_options,
    drainable,
    established,
    forbidden,
    read_ahead_size,
    reads,
    written_by_hand,
)
from yokedcache.sqlalchemy.answers.offline import (
    Options,
    Unprepared,
    forget_compiled,
    prepare,
)
from yokedcache.sqlalchemy.answers.playing import play
from yokedcache.sqlalchemy.answers.rows import record
from yokedcache.sqlalchemy.answers.statement_calls import (
    Answerer,
    Bypass,
    Hit,
    Miss,
    StatementCall,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.engine import Connection, CursorResult, Engine
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.base import Executable

__all__ = [
    "SENT",
    "Answerer",
    "Bypass",
    "CachingConnection",
    "Hit",
    "Miss",
    "StatementCall",
    "established",
    "keep_log_true",
    "sent",
]

_NO_OPTIONS: Options = immutabledict()


class CachingConnection:
    """
    What a session gets in place of a connection for one statement.
    """

    __slots__ = ("_answerer", "_bind", "_get_connection", "_session")

    def __init__(
        self,
        session: Session,
        bind: Engine | Connection,
        get_connection: Callable[[], Connection],
        answerer: Answerer,
    ) -> None:
        self._session = session
        self._bind = bind
        self._get_connection = get_connection
        self._answerer = answerer

    def execute(
        self,
        statement: Executable,
        parameters: Any = None,
        *,
        execution_options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> CursorResult[Any]:
        """
        Answer the statement, or execute it on the real connection.
        """
        kind = statement.__class__
        if kind not in SELECTS and not reads(statement):
            return self._run(statement, parameters, execution_options)
        call = StatementCall()
        call.session = self._session
        call.bind = bind = self._bind
        call.engine = bind.engine
        call.statement = statement
        call.is_text = kind is not Select and written_by_hand(statement)
        call.parameters = parameters
        call.execution_options = execution_options
        call.get_connection = self._get_connection
        call.connected = established(self._session, bind)
        reason = self._unanswerable(call)
        if reason is not None:
            self._answerer.bypassed(call, reason)
            return self._executed(call)
        return self._carry_out(call, self._decided(call))

    def _decided(self, call: StatementCall) -> Hit | Miss | Bypass:
        try:
            return self._answerer.begin(call)
        except Exception as error:  # noqa: BLE001 - a cache never fails the query
            own_fault(error, "an answerer")
            return Bypass("internal_error")

    def _unanswerable(self, call: StatementCall) -> str | None:
        """
        Get the call ready to be answered, or name what speaks against it.
        """
        try:
            base = base_options(call)
            call.options = call.statement._execution_options.merge_with(
                base, call.execution_options
            )
            reason = forbidden(call)
        except Exception:  # noqa: BLE001 - executing it raises what there is to raise
            return "unprepared"
        if reason is None:
            reason = self._answerer.refuse(call)
        return _prepare(call, base) if reason is None else reason

    def _carry_out(
        self, call: StatementCall, plan: Hit | Miss | Bypass
    ) -> CursorResult[Any]:
        if isinstance(plan, Hit):
            return play(call, plan)
        if isinstance(plan, Bypass):
            keep_log_true(call)
            self._answerer.bypassed(call, plan.reason)
            return self._executed(call)
        return self._recorded(call, plan)

    def _executed(self, call: StatementCall) -> CursorResult[Any]:
        return self._run(call.statement, call.parameters, call.execution_options)

    def _run(
        self, statement: Executable, parameters: Any, options: Mapping[str, Any]
    ) -> CursorResult[Any]:
        connection = self._get_connection()
        try:
            return connection.execute(statement, parameters, execution_options=options)
        except BaseException:
            # PostgreSQL refuses everything until the rollback; not every driver
            # tells, so what failed is remembered.
            transaction = self._session._transaction
            if transaction is not None:
                transaction.__dict__[FAILED] = True
            raise

    def _recorded(self, call: StatementCall, miss: Miss) -> CursorResult[Any]:
        try:
            hit = miss.join()
            if hit is not None:
                return play(call, hit)
            keep_log_true(call)
            with leading(miss.flight):
                miss.before_read(self._get_connection())
                result = self._executed(call)
            sql, parameters = sent(result)
            ahead = miss.ahead(read_ahead_size(call))
        except BaseException:
            miss.abandon("error")
            raise
        return record(
            result,
            on_complete=lambda recording: miss.complete(recording, sql, parameters),
            on_abandon=miss.abandon,
            max_rows=miss.max_rows,
            max_bytes=miss.max_bytes,
            drain=drainable(call),
            ahead=ahead,
            on_fetch=miss.resume,
        )

    def scalar(
        self,
        statement: Executable,
        parameters: Any = None,
        *,
        execution_options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> Any:
        """
        Execute and return the first column of the first row.
        """
        if not reads(statement):
            # A sequence gives a value and has no result to take it from.
            return self._get_connection().scalar(
                statement, parameters, execution_options=execution_options
            )
        return self.execute(
            statement, parameters, execution_options=execution_options
        ).scalar()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get_connection(), name)


def _prepare(call: StatementCall, base: Options) -> str | None:
    try:
        call.prepared = prepare(
            call.statement, call.parameters, call.engine, base, call.options
        )
    except Unprepared as unprepared:
        return unprepared.reason
    except Exception:  # noqa: BLE001 - executing it raises what there is to raise
        return "unprepared"
    return None


def keep_log_true(call: StatementCall) -> None:
    """
    Let a statement that is executed and logged be logged as uncached.
    """
    fresh = call.prepared.cache_hit is CacheStats.CACHE_MISS
    if fresh and call.engine._should_log_info():
        forget_compiled(call.statement, call.parameters, call.engine, call.options)


SENT = "_yokedcache_sent"
"""
Where an `after_cursor_execute` listener leaves, on the execution context, the
`(sql, parameters)` that the cursor got: the context doesn't know of rewriting
listeners.
"""


def sent(result: CursorResult[Any]) -> tuple[str, Any]:
    """
    Return SQL and parameters as the cursor was sent them.
    """
    context: Any = result.context
    seen: tuple[str, Any] | None = context.__dict__.get(SENT)
    return seen or (context.statement, context.parameters[0])

"""
Decides for each statement of an attached session.

Serve it, fetch and keep it, or leave it alone.

A hit takes no connection. It begins the session's transaction and flushes as a
statement would, then judges rule 5 on the connection that the session holds, if
any. Everything that isn't served says why, and is counted by that reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.entry import Entry
from yokedcache.core.freshness import Verdict
from yokedcache.core.keys import exact_key
from yokedcache.core.operations import (
    Fetch,
    Found,
    Load,
    Loaded,
    Seal,
    Sealed,
    Store,
    TakeStamp,
)
from yokedcache.core.plans import answer_statement
from yokedcache.core.values import weigh
from yokedcache.errors import KeyArgumentError
from yokedcache.policy import UNSET
from yokedcache.runtime.context import current_capture, hand_on
from yokedcache.sqlalchemy import sessions
from yokedcache.sqlalchemy.clauses import analyse_compiled
from yokedcache.sqlalchemy.connections import existing, open_transaction
from yokedcache.sqlalchemy.databases import (
    STATEMENT_LEVEL,
    database_of,
    isolation,
)
from yokedcache.sqlalchemy.facade import Bypass, Hit
from yokedcache.sqlalchemy.names import LISTENERS
from yokedcache.sqlalchemy.options import FromCache, NoCache, option_of
from yokedcache.sqlalchemy.playing import Kept
from yokedcache.sqlalchemy.quick import Quick
from yokedcache.sqlalchemy.reads import snapshot, unstorable
from yokedcache.sqlalchemy.rewriting import Rewrites, differs
from yokedcache.sqlalchemy.varying import misplaced, unvaried

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.orm import Session

    from yokedcache.core.operations import Op, Plan
    from yokedcache.core.plans import Answer
    from yokedcache.core.tags import Stamp
    from yokedcache.sqlalchemy.analysis import Analysis
    from yokedcache.sqlalchemy.attached import Attachment
    from yokedcache.sqlalchemy.connections import ConnectionState
    from yokedcache.sqlalchemy.databases import Database
    from yokedcache.sqlalchemy.facade import Miss, StatementCall
    from yokedcache.sqlalchemy.rows import Recording
    from yokedcache.sqlalchemy.stamping import Template

STATEMENTS: Final = "statements"
"""The tally of statements through attached sessions."""


class SessionAnswerer:
    """
    Answers the statements of whatever was attached with one set of options.
    """

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self._machine = attachment.machine
        self._tally = attachment.machine.tally(STATEMENTS)
        self._vary_key = attachment.vary_key
        self.rewrites = None if attachment.vary is UNSET else Rewrites()
        own = attachment.ttl
        self._ttl = attachment.machine.settings.ttl if own is None else own
        self.quick = Quick(self)

    def refuse(self, call: StatementCall) -> str | None:
        """
        Name the reason not to look a statement up, or `None`.
        """
        if self._machine.closed:
            return "closed"
        if isinstance(option_of(call.statement), NoCache):
            return "no_cache"
        database = database_of(call.engine.dialect)
        reason = database.unlearnt(call.engine)
        if reason is None and self.attachment.vary is UNSET:
            reason = database.unfit(call.engine, call.session)
        return reason or _level(call, database)

    def begin(self, call: StatementCall) -> Hit | Miss | Bypass:
        """
        Decide on a statement that nothing speaks against so far.
        """
        database = database_of(call.engine.dialect)
        prepared = call.prepared
        analysis = analyse_compiled(prepared.compiled, database.dialect_name)
        reason = analysis.uncacheable or self._beside(call, analysis)
        if reason is None and call.connected is not None:
            reason = _over(call.connected, database, analysis) or misplaced(
                self.attachment, call, call.connected
            )
        if reason is not None:
            return Bypass(reason)
        try:
            key = self._key(call)
        except KeyArgumentError:
            return Bypass("unkeyable_parameter")
        entry = self._machine.store.fetch(key)
        if entry is not None and self._fresh(entry, self.wishes(call)[0]):
            if database.shares_connections(call.engine) and open_transaction(
                entry.vector
            ):
                return Bypass("dirty")
            if call.connected is not None and _wrote(call.connected, entry):
                return Bypass("dirty")
            return self._hit(call, entry)
        return StatementMiss(self, call, analysis, key)

    def bypassed(self, call: StatementCall, reason: str) -> None:  # noqa: ARG002
        """
        Count a statement that went to the database without being looked up.
        """
        self._tally.bypass(reason)

    def key_of(self, call: StatementCall) -> Hashable:
        """
        Give the key of a prepared statement.
        """
        return self._key(call)

    def serve(
        self, session: Session, engine: Engine, compiled: Any, parameters: Any
    ) -> tuple[Entry, Template] | None:
        """
        Give what answers a statement of a known shape, if it may be served plainly.

        The session holds no connection, and has no pending changes.
        """
        database = database_of(engine.dialect)
        if self._machine.closed or database.unlearnt(engine):
            return None
        if self.attachment.vary is UNSET and database.unfit(engine, session):
            return None
        level = isolation(engine.dialect, engine.get_execution_options())
        if database.dialect_name != "sqlite" and level not in STATEMENT_LEVEL:
            return None
        key = self._key_for(session, engine, compiled.string, parameters)
        entry = self._machine.store.fetch(key)
        if entry is None or not self._fresh(entry, self._ttl):
            return None
        if database.shares_connections(engine) and open_transaction(entry.vector):
            return None
        kept: Kept = entry.value
        template = kept.template_for(compiled)
        return None if template is None else (entry, template)

    def served(self, session: Session, engine: Engine, entry: Entry) -> None:
        """
        Count a hit, and tell whoever captures what it depends on.
        """
        entry.hits += 1
        capture = current_capture()
        if capture is not None:
            hand_on(entry.vector)
            if not capture.varied:
                capture.note_stamp(capture.store.stamp((LISTENERS,)))
            reason = unvaried(capture, engine, session)
            if reason is not None:
                capture.spoil(reason)
            sessions.note_holder(session)
        sessions.note_vector(session, self._machine.store, entry.vector)

    def _fresh(self, entry: Entry, ttl: float) -> bool:
        """
        Tell whether an entry will do, also one that somebody with another TTL stored.
        """
        now = self._machine.clock()
        return now < entry.soft_until and now < entry.born + ttl

    def _hit(self, call: StatementCall, entry: Entry) -> Hit:
        self.served(call.session, call.engine, entry)
        kept: Kept = entry.value
        return Hit(kept.recording, kept, self.quick.learn)

    def _beside(self, call: StatementCall, analysis: Analysis) -> str | None:
        tables = self.attachment.tables
        if tables is None or not tables.isdisjoint(analysis.reads):
            return None
        return (
            None if isinstance(option_of(call.statement), FromCache) else "other_tables"
        )

    def _key(self, call: StatementCall) -> Hashable:
        prepared = call.prepared
        key = self._key_for(
            call.session, call.engine, prepared.sql, prepared.parameters
        )
        # what was stored without these tags can't be invalidated by them
        return (*key, *self.wishes(call)[1])

    def _key_for(
        self, session: Session, engine: Engine, sql: str, parameters: Any
    ) -> tuple[Hashable, ...]:
        values = parameters.values() if isinstance(parameters, dict) else parameters
        place = database_of(engine.dialect).key(engine)
        return (sql, exact_key(tuple(values)), *place, self._vary_key(session))

    def wishes(self, call: StatementCall) -> tuple[float, tuple[str, ...]]:
        """
        Give the TTL and the further tags that a statement asks for.
        """
        option = option_of(call.statement)
        if isinstance(option, FromCache):
            return self._ttl if option.ttl is None else option.ttl, option.tags
        return self._ttl, ()


class StatementMiss:
    """
    A statement under way: drives `answer_statement` while its rows are fetched.
    """

    def __init__(
        self,
        answerer: SessionAnswerer,
        call: StatementCall,
        analysis: Analysis,
        key: Hashable,
    ) -> None:
        machine = answerer.attachment.machine
        self.max_rows = machine.settings.max_rows
        self.max_bytes = machine.settings.max_recording
        self._machine = machine
        self._tally = machine.tally(STATEMENTS)
        self._answerer = answerer
        self._rewrites = answerer.rewrites
        self._dialect = call.engine.dialect
        self._call: StatementCall | None = call
        self._analysis = analysis
        self._reads = analysis.reads
        self._key = key
        self._ttl, self._tags = answerer.wishes(call)
        self._sent = (call.prepared.sql, call.prepared.parameters)
        self._plan: Plan[Answer] | None = None
        self._began = 0.0
        self._refused: str | None = None
        self._state: ConnectionState | None = None

    def before_read(self, connection: Connection) -> None:
        """
        Take the versions: nothing was read yet (rule 1).
        """
        self._began = self._machine.clock()
        database = database_of(connection.dialect)
        call, self._call = self._call, None
        if not database.known and call is not None:
            database.learn(connection.connection)
            self._key = self._answerer.key_of(call)
        catalogue = database.catalogue
        state = self._state = existing(connection.connection)
        if state is None:
            self._refused = "untracked"
        else:
            varied = self._rewrites is not None
            self._refused = unstorable(connection, state, self._analysis, varied=varied)
        if self._refused is None and call is not None:
            self._refused = misplaced(self._answerer.attachment, call, connection)
        if self._refused is None and self._rewrites is not None:
            self._reads |= self._rewrites.tables(self._key)
            self._refused = database.readable(self._reads)
        if self._refused is None:
            tags = database.tags_read(self._reads, catalogue)
            plan = answer_statement(self._key, (*tags, *self._tags))
            self._advance(plan, next(plan))
            if database.catalogue is catalogue:
                self._plan = plan
            else:  # what lies behind the names may be something else by now
                self._refused = "changed_meanwhile"

    def complete(self, recording: Recording, sql: str, parameters: Any) -> None:
        """
        Store the rows, if the cursor was sent what the key says.
        """
        plan, state = self._plan, self._state
        if plan is None or state is None:
            self.abandon(self._refused or "untracked")
        elif reason := self._rewritten(sql, parameters, state.database):
            self.abandon(reason)
        elif state.touches(self._reads):
            self.abandon("dirty")
        else:
            cost = self._machine.clock() - self._began
            self._resume(plan, Loaded(recording, cost=cost))

    def _rewritten(self, sql: str, parameters: Any, database: Database) -> str | None:
        if not differs(self._sent, sql, parameters, database.dialect_name):
            return None
        if self._rewrites is None:
            return "rewritten"
        return self._rewrites.confirm(self._key, self._dialect, sql, parameters)

    def abandon(self, reason: str) -> None:
        """
        Count an answer that isn't stored.
        """
        self._tally.loads += 1
        self._tally.refuse(reason)

    def _advance(self, plan: Plan[Answer], op: Op[Any]) -> None:
        while type(op) is not Load:
            op = plan.send(_PERFORM[type(op)](self, op))

    def _resume(self, plan: Plan[Answer], loaded: Loaded) -> None:
        self._tally.loads += 1
        try:
            op = plan.send(loaded)
            while True:
                op = plan.send(_PERFORM[type(op)](self, op))
        except StopIteration as stop:
            if stop.value.refused:
                self._tally.refuse(stop.value.refused)

    def _fetch(self, _: Fetch) -> Found:
        return Found(None, Verdict.GONE)

    def _take_stamp(self, op: TakeStamp) -> Stamp:
        return self._machine.store.stamp(op.names)

    def _seal(self, op: Seal) -> Sealed:
        recording: Recording = op.loaded.value
        entry = Entry(
            Kept(recording),
            copier=None,
            vector=op.stamp.vector,
            born=self._machine.clock(),
            cost=op.loaded.cost,
            lifetime=self._machine.lifetime(self._ttl),
            weight=weigh(recording.rows),
        )
        entry.owner = self._tally
        return Sealed(entry, refused="commit_in_flight" if op.stamp.fenced else None)

    def _store(self, op: Store) -> str | None:
        return self._machine.store.put(op.key, op.entry)


_PERFORM: dict[type[Any], Callable[[StatementMiss, Any], Any]] = {
    Fetch: StatementMiss._fetch,
    TakeStamp: StatementMiss._take_stamp,
    Seal: StatementMiss._seal,
    Store: StatementMiss._store,
}


def _level(call: StatementCall, database: Database) -> str | None:
    """
    Name the isolation level that keeps a statement from being looked up.
    """
    if database.dialect_name == "sqlite":
        return None
    level = isolation(call.engine.dialect, call.options)
    return None if level is None or level in STATEMENT_LEVEL else "snapshot"


def _wrote(connection: Connection, entry: Entry) -> bool:
    """
    Tell whether what an entry depends on, besides what the statement says, was written.
    """
    state = existing(connection.connection)
    if state is None or not state.dirty:
        return False
    return not {tag.name for tag, _ in entry.vector}.isdisjoint(state.tags())


def _over(connection: Connection, database: Database, analysis: Analysis) -> str | None:
    """
    Name what the session's own connection forbids (rules 5 and 6).
    """
    state = existing(connection.connection)
    if state is None:
        return "untracked"
    if state.contextual is not None:
        return state.contextual
    if state.touches(analysis.reads):
        return "dirty"
    return snapshot(connection, database)

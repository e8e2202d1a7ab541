"""
Decides for each statement of an attached session.

Serve it, fetch and keep it, or leave it alone.

A hit takes no connection. It begins the session's transaction and flushes as a
statement would, then judges rule 5 on the connection that the session holds, if
any. Everything that isn't served says why, and is counted by that reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from yokedcache.core.snapshots import FRESH, Sight, View
from yokedcache.core.values import weigh
from yokedcache.errors import KeyArgumentError
from yokedcache.policy import UNSET
from yokedcache.runtime.context import current_capture, hand_on
from yokedcache.sqlalchemy import sessions
from yokedcache.sqlalchemy.clauses import analyse_compiled
from yokedcache.sqlalchemy.connections import existing, open_transaction
from yokedcache.sqlalchemy.databases import database_of
from yokedcache.sqlalchemy.facade import Bypass, Hit
from yokedcache.sqlalchemy.floating import STATEMENTS, float_of
from yokedcache.sqlalchemy.options import FromCache, NoCache, option_of
from yokedcache.sqlalchemy.playing import Kept
from yokedcache.sqlalchemy.quick import Quick
from yokedcache.sqlalchemy.reads import unstorable
from yokedcache.sqlalchemy.several import refusal
from yokedcache.sqlalchemy.snapshots import before_statement, seen_by, view

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


class SessionAnswerer:
    """
    Answers the statements of whatever was attached with one set of options.
    """

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self._machine = attachment.machine
        self._tally = attachment.machine.tally(STATEMENTS)
        self._vary_key = attachment.vary_key
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
        reason = database.unlearnt(call.engine) or refusal(database, self._machine)
        if reason is None and self.attachment.vary is UNSET:
            reason = database.unfit(call.engine, call.session)
        return reason

    def begin(self, call: StatementCall) -> Hit | Miss | Bypass:
        """
        Decide on a statement that nothing speaks against so far.
        """
        database = database_of(call.engine.dialect)
        prepared = call.prepared
        analysis = analyse_compiled(prepared.compiled, database.dialect_name)
        reason = analysis.uncacheable or self._beside(call, analysis)
        over = None
        if reason is None and call.connected is not None:
            state = existing(call.connected.connection)
            reason = _over(state, analysis)
            over = None if state is None else (call.connected, state)
        if reason is not None:
            return Bypass(reason)
        store = self._machine.store
        seen = seen_by(call.session, call.engine, call.options, store, over)
        return self._looked_up(call, analysis, database, seen)

    def _looked_up(
        self,
        call: StatementCall,
        analysis: Analysis,
        database: Database,
        seen: View | None,
    ) -> Hit | Miss | Bypass:
        """
        Decide by what is stored; `seen` is `None` if that mustn't be asked.
        """
        if seen is not None and seen.sight is Sight.CHECKED:
            return Bypass("serializable")
        try:
            key = self._key(call)
        except KeyArgumentError:
            return Bypass("unkeyable_parameter")
        entry = None if seen is None else self._machine.store.fetch(key)
        if (
            entry is None
            or seen is None
            or not self._fresh(entry, self.wishes(call)[0])
        ):
            return StatementMiss(self, call, analysis, key, first=seen is None)
        if database.shares_connections(call.engine) and open_transaction(entry.vector):
            return Bypass("dirty")
        reason = seen.unservable(entry.vector)
        return self._hit(call, entry) if reason is None else Bypass(reason)

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
        store = self._machine.store
        seen = seen_by(session, engine, engine.get_execution_options(), store)
        if seen is None:
            return None
        key = self._key_for(session, engine, compiled.string, parameters)
        entry = self._machine.store.fetch(key)
        if (
            entry is None
            or not self._fresh(entry, self._ttl)
            or (seen is not FRESH and seen.unservable(entry.vector) is not None)
        ):
            return None
        if database.shares_connections(engine) and open_transaction(entry.vector):
            return None
        kept: Kept = entry.value
        template = kept.template_for(compiled)
        return None if template is None else (entry, template)

    def served(self, session: Session, entry: Entry) -> None:
        """
        Count a hit, and tell whoever captures what it depends on.
        """
        entry.hits += 1
        if current_capture() is not None:
            hand_on(entry.vector)
            sessions.note_holder(session)
        sessions.note_vector(session, self._machine.store, entry.vector)
        kept = float_of(session)
        if kept is not None:
            kept.saw(self._machine.store, entry.vector)

    def _fresh(self, entry: Entry, ttl: float) -> bool:
        """
        Tell whether an entry will do, also one that somebody with another TTL stored.
        """
        now = self._machine.clock()
        return now < entry.soft_until and now < entry.born + ttl

    def _hit(self, call: StatementCall, entry: Entry) -> Hit:
        self.served(call.session, entry)
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
        *,
        first: bool,
    ) -> None:
        machine = answerer.attachment.machine
        self.max_rows = machine.settings.max_rows
        self.max_bytes = machine.settings.max_recording
        self._machine = machine
        self._tally = machine.tally(STATEMENTS)
        self._answerer = answerer
        self.first = first
        """Whether it goes to the database because it makes a snapshot."""
        self._call: StatementCall | None = call
        self._analysis = analysis
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
        state = self._state = existing(connection.connection)
        if state is not None:  # what is asked of the database may make its snapshot
            before_statement(connection, state, self._analysis)
        if not database.known and call is not None:
            database.learn(connection.connection)
            self._key = self._answerer.key_of(call)
        catalogue = database.catalogue
        if state is None:
            self._refused = "untracked"
        else:
            self._refused = refusal(database, self._machine) or unstorable(
                connection, state, self._analysis
            )
        if self._refused is None and state is not None:
            tags = database.tags_read(self._analysis.reads, catalogue)
            seen = view(connection, state, self._machine.store)
            plan = answer_statement(self._key, (*tags, *self._tags), seen)
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
        elif (sql, parameters) != self._sent:
            self.abandon("rewritten")
        elif state.touches(self._analysis.reads):
            self.abandon("dirty")
        else:
            cost = self._machine.clock() - self._began
            self._resume(plan, Loaded(recording, cost=cost))

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


def _over(state: ConnectionState | None, analysis: Analysis) -> str | None:
    """
    Name what the session's own connection forbids (rule 5).
    """
    if state is None:
        return "untracked"
    if state.contextual is not None:
        return state.contextual
    return "dirty" if state.touches(analysis.reads) else None

"""
Decides for each statement of an attached session.

Serve it, fetch and keep it, or leave it alone.

A hit takes no connection. It begins the session's transaction and flushes as a
statement would, then judges rule 5 on the connection that the session holds, if
any. Everything that isn't served says why, and is counted by that reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.core.keys import exact_key
from yokedcache.core.snapshots import FRESH, Sight
from yokedcache.core.tags import LISTENERS
from yokedcache.errors import KeyArgumentError
from yokedcache.policy import UNSET
from yokedcache.runtime.context import current_capture, hand_on
from yokedcache.runtime.drive import run
from yokedcache.sqlalchemy.answers.audit import audit_of
from yokedcache.sqlalchemy.answers.beginning import ready
from yokedcache.sqlalchemy.answers.facade import Bypass, Hit
from yokedcache.sqlalchemy.answers.hot import hot_of
from yokedcache.sqlalchemy.answers.misses import StatementMiss
from yokedcache.sqlalchemy.answers.offline import is_plain
from yokedcache.sqlalchemy.answers.quick import WAITED, Quick
from yokedcache.sqlalchemy.contexts.varying import misplaced, unvaried
from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.databases.several import refusal
from yokedcache.sqlalchemy.databases.unsettled import Unsettled
from yokedcache.sqlalchemy.functions import sessions
from yokedcache.sqlalchemy.functions.told import NO_SCHEMAS, schemas_of, unkeyed
from yokedcache.sqlalchemy.options import FromCache, NoCache, option_of
from yokedcache.sqlalchemy.statements.clauses import analyse_compiled
from yokedcache.sqlalchemy.statements.present import names_present
from yokedcache.sqlalchemy.statements.rewriting import Rewrites
from yokedcache.sqlalchemy.statements.sent import placed
from yokedcache.sqlalchemy.transactions.connections import open_transaction
from yokedcache.sqlalchemy.transactions.floating import STATEMENTS, float_of
from yokedcache.sqlalchemy.transactions.holders import existing
from yokedcache.sqlalchemy.transactions.snapshots import seen_by

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sqlalchemy.engine import Engine
    from sqlalchemy.orm import Session

    from yokedcache.core.entry import Entry
    from yokedcache.core.snapshots import View
    from yokedcache.sqlalchemy.answers.blueprints import Template
    from yokedcache.sqlalchemy.answers.facade import Miss, StatementCall
    from yokedcache.sqlalchemy.answers.playing import Kept
    from yokedcache.sqlalchemy.attached import Attachment
    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState


class SessionAnswerer:
    """
    Answers the statements of whatever was attached with one set of options.
    """

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self._machine = attachment.machine
        self.tally = attachment.machine.tally(STATEMENTS)
        self._vary_key = attachment.vary_key
        self.rewrites = None if attachment.vary is UNSET else Rewrites()
        own = attachment.ttl
        self._ttl = attachment.machine.settings.ttl if own is None else own
        self.audit = audit_of(attachment.machine)
        self.hot = hot_of(attachment.machine)
        self.quick = Quick(self)

    def refuse(self, call: StatementCall) -> str | None:
        """
        Name the reason not to look a statement up, or `None`.
        """
        if self._machine.closed:
            return "closed"
        if isinstance(option_of(call.statement), NoCache):
            return "no_cache"
        if self.hot.first_of(call.engine, call.statement):
            return "hot"
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
        if analysis.schemas:
            analysis = placed(analysis, database)
        reason = analysis.uncacheable or self._beside(call, analysis)
        over = None
        if reason is None and call.connected is not None:
            state = existing(call.connected.connection)
            over = None if state is None else (call.connected, state)
            reason = _over(state, analysis) or misplaced(
                self.attachment, call, call.connected
            )
        reason = reason or self._unwanted(prepared.sql, analysis, database)
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
        ttl, further = self.wishes(call)
        entry, ticket, allowance = None, 0, None
        if seen is not None and self._machine.store.shares:
            ticket, allowance = call.session.__dict__.pop(WAITED, None) or (
                self._machine.terminal.ticket(),
                self._machine.store.allowance(),
            )
            names = database.tags_read(analysis.reads, database.catalogue)
            look = self._machine.store.look(
                key, ticket, (*names, *further), owner=self.tally
            )
            entry = run(look, allowance.here)
        elif seen is not None:
            entry = self._machine.store.fetch(key)
        if entry is None or seen is None or not self.fresh(entry, ttl):
            told = {"ticket": ticket, "allowance": allowance}
            return self._missed(call, analysis, key, seen, **told)
        reason = _wrote(call, database, entry) or seen.unservable(entry.vector)
        if reason is not None:
            return Bypass(reason)
        if self.audit.due():
            return StatementMiss(
                self, call, analysis, key, seen, suspect=entry, ticket=ticket
            )
        return self._hit(call, entry)

    def _missed(
        self,
        call: StatementCall,
        analysis: Analysis,
        key: Hashable,
        seen: View | None,
        **told: Any,
    ) -> Miss | Bypass:
        """
        Fetch what isn't stored, unless it mustn't be for what is bound.

        That is judged here alone: nothing is ever found under such a key.
        """
        if _of_the_present(call, analysis):
            return Bypass("volatile_function:now")
        return StatementMiss(self, call, analysis, key, seen, **told)

    def _unwanted(self, sql: str, analysis: Analysis, database: Database) -> str | None:
        """
        Name why a look-up would be in vain, or its answer not to be trusted.
        """
        if self._machine.store.off:
            return self._machine.store.off
        if self.audit.differences and self.audit.quarantined(sql):
            return "quarantined"
        names = database.tags_read(analysis.reads, database.catalogue)
        return "hot" if self.hot.any_of(names) else None

    def bypassed(self, call: StatementCall, reason: str) -> None:  # noqa: ARG002
        """
        Count a statement that went to the database without being looked up.
        """
        self.tally.bypass(reason)

    def key_of(self, call: StatementCall) -> Hashable:
        """
        Give the key of a prepared statement.
        """
        return self._key(call)

    def once_key_of(self, call: StatementCall) -> Hashable:
        """
        Give the key that it had, or has, before its database said who it is.
        """
        database = database_of(call.engine.dialect)
        place = len(database.key(call.engine))
        sql, parameters, *rest = self._key(call)
        return (sql, parameters, Unsettled(database, call.engine), *rest[place:])

    def serve(
        self, session: Session, engine: Engine, compiled: Any, parameters: Any
    ) -> tuple[Entry, Template] | None:
        """
        Give what answers a statement of a known shape, if it may be served plainly.

        The session holds no connection, and has no pending changes.
        """
        database = database_of(engine.dialect)
        if self._machine.closed or database.unlearnt(engine) or self.audit.on:
            return None
        if self.attachment.vary is UNSET and database.unfit(engine, session):
            return None
        store = self._machine.store
        seen = seen_by(session, engine, engine.get_execution_options(), store)
        if seen is None:
            return None
        key = self._key_for(session, engine, compiled.string, parameters)
        if not store.shares:
            entry = store.fetch(key)
        elif key in store.entries:  # else the long way would ask a second time
            ticket = self._machine.terminal.ticket()
            allowance = store.allowance()
            entry = run(store.look(key, ticket, owner=self.tally), allowance.here)
            if allowance.spent:  # so the long way doesn't wait as well
                session.__dict__[WAITED] = ticket, allowance
        else:
            entry = None
        if (
            entry is None
            or not self.fresh(entry, self._ttl)
            or (seen is not FRESH and seen.unservable(entry.vector) is not None)
        ):
            return None
        if database.shares_connections(engine) and open_transaction(entry.vector):
            return None
        kept: Kept = entry.value
        template = kept.template_for(compiled)
        return None if template is None else (entry, template)

    def joined(self, call: StatementCall, entry: Entry) -> Hit | str:
        """
        Give what a flight brought, or the reason why this session may not have it.
        """
        engine = call.engine
        if not ready(call.session):
            return "inactive_session"
        if database_of(engine.dialect).shares_connections(engine) and open_transaction(
            entry.vector
        ):
            return "dirty"
        # while it waited others may have learnt that transactions make snapshots
        store = self._machine.store
        seen = seen_by(call.session, engine, call.options, store)
        reason = "snapshot" if seen is None else seen.unservable(entry.vector)
        if reason is not None:
            return reason
        hit = self._hit(call, entry)
        entry.hits -= 1  # it counts as shared, not as a hit
        self.tally.shared += 1
        return hit

    def served(
        self,
        session: Session,
        engine: Engine,
        entry: Entry,
        schemas: bytes = NO_SCHEMAS,
    ) -> None:
        """
        Count a hit, and tell whoever captures what it depends on.
        """
        entry.hits += 1
        capture = current_capture()
        if capture is not None:
            hand_on(entry.vector)
            if not capture.varied:
                capture.note_stamp(capture.store.stamp((LISTENERS,)))
            reason = unkeyed(capture, schemas) or unvaried(capture, engine, session)
            if reason is not None:
                capture.spoil(reason)
            sessions.note_holder(session)
        sessions.note_vector(session, self._machine.store, entry.vector, schemas)
        kept = float_of(session)
        if kept is not None:
            kept.saw(self._machine.store, entry.vector)

    def fresh(self, entry: Entry, ttl: float) -> bool:
        """
        Tell whether an entry will do, also one that somebody with another TTL stored.
        """
        now = self._machine.clock()
        return now < entry.soft_until and now < entry.born + ttl

    def _hit(self, call: StatementCall, entry: Entry) -> Hit:
        self.served(call.session, call.engine, entry, schemas_of(call.options))
        kept: Kept = entry.value
        return Hit(kept.recording, kept, self.quick.learn)

    def _beside(self, call: StatementCall, analysis: Analysis) -> str | None:
        tables = self.attachment.tables
        if tables is None or not tables.isdisjoint(analysis.reads):
            return None
        return (
            None if isinstance(option_of(call.statement), FromCache) else "other_tables"
        )

    def _key(self, call: StatementCall) -> tuple[Hashable, ...]:
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


def _of_the_present(call: StatementCall, analysis: Analysis) -> bool:
    """
    Tell whether the present moment is among what is bound.
    """
    if not analysis.timed:
        return False
    prepared = call.prepared
    ordered = prepared.compiled if is_plain(prepared.compiled) else None
    dialect_name: str = call.engine.dialect.name
    return names_present(analysis, prepared.parameters, dialect_name, ordered)


def _wrote(call: StatementCall, database: Database, entry: Entry) -> str | None:
    """
    Tell whether what an entry depends on, besides what the statement says, was written.
    """
    if database.shares_connections(call.engine) and open_transaction(entry.vector):
        return "dirty"
    connection = call.connected
    state = None if connection is None else existing(connection.connection)
    if state is None or not state.dirty:
        return None
    names = {tag.name for tag, _ in entry.vector}
    return None if names.isdisjoint(state.tags()) else "dirty"


def _over(state: ConnectionState | None, analysis: Analysis) -> str | None:
    """
    Name what the session's own connection forbids (rule 5).
    """
    if state is None:
        return "untracked"
    if state.contextual is not None:
        return state.contextual
    return "dirty" if state.touches(analysis.reads) else None

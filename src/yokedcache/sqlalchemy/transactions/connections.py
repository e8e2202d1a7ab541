"""
The write set of a DBAPI connection, and what else is known of it.

It begins with the first write sent over the connection and ends with that
connection's real commit or rollback, whatever sessions and savepoints do
meanwhile (rule 5). The state lives in the pool record's `info`, so that all
who share the connection share it, and it goes when the connection goes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from yokedcache.core.tags import ANY_DATABASE, ANY_TAG
from yokedcache.machine import machines
from yokedcache.runtime.forks import Guard
from yokedcache.runtime.log import once
from yokedcache.sqlalchemy.contexts.settings import Settings
from yokedcache.sqlalchemy.functions.weak_sessions import WeakSessions
from yokedcache.sqlalchemy.names import database_tag
from yokedcache.sqlalchemy.transactions.blame import Blame
from yokedcache.sqlalchemy.transactions.holders import KEY, autocommit
from yokedcache.sqlalchemy.transactions.outlook import Outlook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection

    from yokedcache.core.tags import Vector
    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.fences import Fences
    from yokedcache.stores.memory import MemoryStore

_ISOLATING = re.compile(
    r"isolation|snapshot|uncommitted|repeatable|serializable", re.IGNORECASE
)
_MOST_TAGS = 1_000
_open: dict[str, int] = {}
"""How many connections have written what each tag stands for, and not ended."""
_known: WeakSet[ConnectionState] = WeakSet()
_guard = Guard()


class ConnectionState:
    """
    What one DBAPI connection has done since its last commit or rollback.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.out = False
        """Somebody is using the connection."""
        self.outlook = Outlook()
        self.sessions = WeakSessions()
        self.raw = False
        """Handed out without a `Connection` around it."""
        self.begun = False
        """A statement began a transaction, for drivers that don't tell."""
        self.handed = False
        """Taken out of its `Connection`: writes unknown until it goes back."""
        self.unheard: str | None = None
        """Which listener may have written over it, which nobody would hear."""
        self.contextual: str | None = None
        """Temporary objects were made on it: they may shadow tables."""
        self.triggers = False
        """A trigger was made on it: on SQLite, maybe one that no other has."""
        self.settings = Settings(database.left)
        """What statements have set on it."""
        self.detached = False
        """It left its pool, which doesn't tell if it is lost."""
        self.fences: Fences | None = None
        """Fences around one statement that commits by itself."""
        self.prepared: Fences | None = None
        """Fences of what was prepared, to be committed in the second phase."""
        self.orphans: list[Fences] = []
        """Fences of commits whose outcome isn't known."""
        self.writes: set[tuple[str, str]] = set()
        self.blame = Blame()
        self.unknown = False
        self._by_hand: set[str] = set()
        self._watched: list[MemoryStore] = []
        self._locked: list[MemoryStore] = []
        self._published: tuple[str, ...] = ()
        self._writing = False
        self._changes_catalogue = False
        with _guard:
            _known.add(self)

    def __del__(self) -> None:
        self.unwatch()
        self.unlock()

    @property
    def dirty(self) -> bool:
        """
        Tell whether something was written that isn't committed.
        """
        return (
            self.unknown or self.handed or bool(self.writes) or self.unheard is not None
        )

    @property
    def _anything(self) -> bool:
        return self.unknown or self.handed or self.unheard is not None

    def note(self, analysis: Analysis) -> None:
        """
        Add what a statement writes.
        """
        if not (self.writes.issuperset(analysis.writes) and self.dirty):
            self.writes |= analysis.writes
            self._publish()
        if analysis.unknown_write or analysis.ddl:
            self.note_unknown()

    def change_catalogue(self) -> None:
        """
        Note that tables, triggers or views are about to change.
        """
        self._changes_catalogue = True
        self.database.begin_change(self)

    def note_unknown(self) -> None:
        """
        Note that something was written, nobody knows what.
        """
        if not self.unknown:
            self.unknown = True
            self._publish()

    def note_tags(self, names: Iterable[str]) -> None:
        """
        Add tags that the app invalidated by hand before the commit, if one comes.

        Of too many, it is only noted that there were some.
        """
        if ANY_TAG not in self._by_hand:
            self._by_hand.update(names)
            if len(self._by_hand) > _MOST_TAGS:
                self._by_hand = {ANY_TAG}

    def forget_tags(self) -> None:
        """
        Forget these tags: a transaction that wrote nothing has ended.
        """
        self._by_hand.clear()

    def hand_out(self) -> None:
        """
        Note that the app has the driver's connection in its hands.
        """
        self.handed = True
        self._publish()

    def suspect(self, place: str) -> None:
        """
        Note that a listener may write over it.
        """
        if self.unheard is None:
            self.unheard = place
            self._publish()

    def hear(self) -> None:
        """
        Note that the app has said what its listeners write.
        """
        self.unheard = None
        if self.dirty:
            self._publish()
        else:
            self.unwatch()

    def take_back(self) -> None:
        """
        Note that a connection came back that may have been set anything.
        """
        self.handed = False
        self.outlook.ask_again()
        self.settle()

    def touches(self, tables: frozenset[str]) -> bool:
        """
        Tell whether an answer read from these tables could see own writes.
        """
        if not self.dirty:
            return False
        if self._anything or self.database.dialect_name == "sqlite":
            return True
        read = self.database.tags_read(tables, self.database.catalogue)
        return not set(read).isdisjoint(self.tags())

    def tags(self) -> tuple[str, ...]:
        """
        Name what the write set changes.
        """
        unknown = self._anything
        if not (unknown or self.writes):
            return tuple(self._by_hand)
        tags = self.database.tags_written(self.writes, unknown=unknown)
        return (*tags, *self._by_hand) if self._by_hand else tags

    def check_out(self) -> None:
        """
        Note that somebody is about to use the connection.
        """
        self.settings.check_out()
        self.out = True

    def check_in(self) -> None:
        """
        Note that nobody uses the connection any more; in memory, others may.
        """
        self.out = False
        self.forget_tags()
        self.unlock()
        self.settings.check_in()
        self.outlook.rest()
        if not self.database.in_memory:
            self.sessions.clear()

    def note_settings(
        self, connection: Connection, analysis: Analysis, statement: str
    ) -> None:
        """
        Note what a statement sets on the connection: what it sees, what it answers.
        """
        if analysis.context or analysis.isolation or analysis.transaction == "begin":
            self.outlook.ask_again()
        if analysis.isolation == "session":
            self.database.opens = True
        if analysis.context:
            self._note_context(connection, statement)
        if analysis.transaction == "commit":
            self.settings.commit()
        if analysis.temporary:
            self.contextual = "temporary"

    def _note_context(self, connection: Connection, statement: str) -> None:
        """
        Note that a statement made answers depend on more than is in the key.
        """
        if _ISOLATING.search(statement):
            self.contextual = "isolation"
        database = self.database
        undone = database.dialect_name == "postgresql" and not autocommit(connection)
        restored = not database.by_schema
        if self.settings.read(
            statement, database.identity, undone=undone, restored=restored
        ):
            once(
                "context",
                f"{database.serial}:{statement[:40]}",
                "what is read over a connection is not cached since a statement set "
                "context on it: %.200s. Name what answers vary on: "
                "attach(..., vary=...), or vary=None for nothing.",
                statement,
            )

    def settle(self) -> None:
        """
        Empty the write set: the connection's transaction has ended.
        """
        if self._changes_catalogue:
            self._changes_catalogue = False
            self.database.end_change(self)
        self.writes.clear()
        self._by_hand.clear()
        self.blame = Blame()
        self.unknown = False
        self.unheard = None
        self.begun = False
        self.unwatch()

    def lock(self) -> None:
        """
        Note that something was locked: until the connection is given back all is asked.

        Whoever waits for a lock relies on what others have committed before (rule 8).
        """
        if not self._locked:
            self._locked = [m.store for m in machines() if m.store.near_for]
            for store in self._locked:
                store.watch()

    def unlock(self) -> None:
        """
        Let caches answer again what is near.
        """
        locked, self._locked = self._locked, []
        for store in locked:
            store.unwatch()

    def unwatch(self) -> None:
        """
        Let the caches take the short path again.
        """
        with _guard:
            _count((), self._published)
            self._published = ()
            self._writing = False
            watched, self._watched = self._watched, []
        for store in watched:
            store.unwatch()

    def _publish(self) -> None:
        """
        Tell every cached function what is in the making (rule 5).

        On SQLite a transaction that has written is a snapshot of the whole
        database, so all of it counts.
        """
        tags = self.tags()
        if self.database.dialect_name == "sqlite":
            tags = (*tags, database_tag(self.database.identity or ""))
        each = tuple(set(tags))
        with _guard:
            self._writing = True
            _count(each, self._published)
            self._published = each
            fresh = [] if self._watched else [m.store for m in machines()]
            self._watched += fresh
        for store in fresh:
            store.watch()


def _count(fresh: tuple[str, ...], gone: tuple[str, ...]) -> None:
    """
    Count what a connection has written, before what is in there no longer.
    """
    for name in fresh:
        _open[name] = _open.get(name, 0) + 1
    for name in gone:
        left = _open[name] - 1
        if left:
            _open[name] = left
        else:
            del _open[name]


def in_use() -> list[ConnectionState]:
    """
    List the connections that somebody uses, or has written over what isn't committed.
    """
    with _guard:
        return [state for state in _known if state.out or state._writing]


def open_transaction(vector: Vector) -> bool:
    """
    Tell whether an open transaction has written what an answer depends on.

    Which context a connection belongs to can't always be told, so an open write
    keeps functions from being answered on its tables in the whole process.
    """
    if not _open:
        return False
    if ANY_DATABASE in _open:
        return any(str(tag.name).startswith(ANY_DATABASE) for tag, _ in vector)
    return any(tag.name in _open for tag, _ in vector)


def state_of(info: Any, database: Database) -> ConnectionState:
    """
    Give the state kept in a pooled connection's `info`.
    """
    state: ConnectionState | None = info.get(KEY)
    if state is None:
        state = info[KEY] = ConnectionState(database)
    return state

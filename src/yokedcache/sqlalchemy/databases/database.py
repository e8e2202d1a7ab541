"""
What is known of each database in use.

Who it is, what its catalogue says, and whether its engine may be cached at all.

One `Database` belongs to an engine's dialect object, which engines made by
`execution_options` share. It is learnt over a connection that a statement has
anyway, through plain DBAPI cursors.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from sqlalchemy.pool import SingletonThreadPool, StaticPool

from yokedcache.core.snapshots import Sight
from yokedcache.core.tags import ANY_DATABASE
from yokedcache.runtime.forks import Guard, after_fork
from yokedcache.runtime.log import once
from yokedcache.runtime.naming import this_process
from yokedcache.sqlalchemy.contexts.listeners import Watch, session_meddler
from yokedcache.sqlalchemy.databases import in_memory, several
from yokedcache.sqlalchemy.databases.catalogue import CatalogueUnknown, read_catalogue
from yokedcache.sqlalchemy.databases.identity import (
    IdentityUnknown,
    engine_fingerprint,
    server_epoch,
)
from yokedcache.sqlalchemy.databases.identity_mysql import schema_of
from yokedcache.sqlalchemy.databases.sheltered import sheltered
from yokedcache.sqlalchemy.databases.unsettled import Unsettled
from yokedcache.sqlalchemy.names import database_tag, read_tags
from yokedcache.sqlalchemy.statements.sql_functions import family
from yokedcache.sqlalchemy.transactions.holders import existing
from yokedcache.sqlalchemy.transactions.written import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from sqlalchemy.engine import Dialect, Engine
    from sqlalchemy.orm import Session

    from yokedcache.sqlalchemy.contexts.settings import Settings
    from yokedcache.sqlalchemy.databases.catalogue import Catalogue
    from yokedcache.sqlalchemy.databases.implicit import Implicit
    from yokedcache.sqlalchemy.databases.several import Company

_known: WeakSet[Database] = WeakSet()
_changes: WeakSet[Change] = WeakSet()
_PLACE = "_yokedcache_database"
"""Where a dialect object keeps what is known of its database."""
_serials = itertools.count(1)
_guard = Guard()

_WATCH = "_yokedcache_watch"
_MOST_READS = 2000
_MOST_FAILURES = 10

_SHARING = (SingletonThreadPool, StaticPool)


class Change(Protocol):
    """
    The transaction of a connection, as far as it changes a catalogue.
    """

    @property
    def database(self) -> Database:
        """
        The database whose catalogue it is.
        """


class Database:
    """
    One database, as one dialect object reaches it.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect_name = dialect.name
        self._dialect = weakref.ref(dialect)
        self.by_schema = family(dialect.name) == "mysql"
        """Each schema of the server is a database of its own."""
        self.serial = next(_serials)
        self.identity: str | None = None
        self.pool: Callable[[], Any] = lambda: None
        """Gives the pool that its connections came from last, if there is one."""
        self.epoch = ""
        """Since when the server runs, as its name may stay when its data is lost."""
        self.catalogue: Catalogue | None = None
        self.implicit: Implicit | None = None
        """What runs functions without a call, by the catalogue that was read last."""
        self.left: WeakSet[Settings] = WeakSet()
        """What was set on connections and stays there, whoever gets them next."""
        self.unlearnable: str | None = None
        self.in_memory = False
        self.may_share = False
        """Connections may share SQLite's cache with others, of other engines too."""
        self.vouched = False
        """The app has said what answers vary on, so it knows what its listeners do."""
        self.attaches = False
        """Statements attached other files: what is written may be in any of them."""
        self.company: Company | None = None
        """Who else uses it; told once it is known who it is."""
        self.opens: bool | None = None
        """
        Whether transactions make snapshots though options don't say so, if known.
        """
        self._fingerprint: str | None = None
        self._sessions: dict[tuple[Any, ...], str | None] = {}
        self._failures = 0
        self.changes = 0
        """How often the catalogue has changed."""
        self._read_tags: tuple[Catalogue | None, dict[frozenset[str], tuple[str, ...]]]
        self._read_tags = (None, {})
        self._written = Written()

    @property
    def known(self) -> bool:
        """
        Tell whether identity and catalogue are at hand.
        """
        return self.catalogue is not None and self.identity is not None

    @property
    def dialect(self) -> Any:
        """
        The dialect object that it belongs to.
        """
        return self._dialect()

    @property
    def server_tag(self) -> str:
        """
        The tag of everything that a write of unknown tables may have changed.
        """
        return database_tag(self.identity or "")

    def elsewhere(self, schemas: frozenset[str]) -> bool:
        """
        Tell whether a statement names schemas that are databases of their own.
        """
        return self.by_schema and schemas != {schema_of(self.identity)}

    def learn(self, dbapi_connection: Any) -> None:
        """
        Ask the database who it is and what it does by itself, if not known.
        """
        if self.known or self.unlearnable:
            return
        if self.identity is not None and self._hidden(dbapi_connection):
            return
        try:
            with sheltered(dbapi_connection, self.dialect_name):
                if self.identity is None:
                    identity = in_memory.identity_of(self, dbapi_connection)
                    self.in_memory = not identity
                    self.epoch = server_epoch(dbapi_connection, self.dialect_name)
                    if identity:
                        self.company = several.enter(self, dbapi_connection, identity)
                    self.identity = identity or in_memory.name_of(self)
                if self._hidden(dbapi_connection):
                    return
                epoch = self.changes
                catalogue = read_catalogue(dbapi_connection, self.dialect_name)
                if epoch == self.changes:
                    self.catalogue = catalogue
                    self.implicit = catalogue.implicit
        except (CatalogueUnknown, IdentityUnknown) as error:
            self._failures += 1
            if error.__cause__ is not None and self._failures < _MOST_FAILURES:
                return  # an aborted transaction, a lost connection: ask again later
            self.unlearnable = str(error)
            once(
                "catalogue_unknown",
                str(self.serial),
                "answers of this %s database are not cached: %s",
                self.dialect_name,
                error,
            )

    def forget(self) -> None:
        """
        Know nothing any more: the database isn't the one that it was.
        """
        self.changes += 1
        self.identity = self.catalogue = self.unlearnable = self.implicit = None

    def fingerprint(self, engine: Engine) -> str:
        """
        Give what of the engine is part of every key.
        """
        if self._fingerprint is None:
            self._fingerprint = engine_fingerprint(engine)
        return self._fingerprint

    def key(self, engine: Engine) -> tuple[Hashable, ...]:
        """
        Give what tells this engine's answers from those of others.
        """
        marks = watch_of(engine).marks
        if self.in_memory:
            thread = isinstance(engine.pool, SingletonThreadPool)
            return (
                this_process(),
                self.serial,
                threading.get_ident() if thread else 0,
                *marks,
            )
        if self.identity is None:
            return (Unsettled(self, engine),)
        # One URL may lead to several databases: a relative path does.
        return (self.fingerprint(engine), self.identity, *marks)

    def unfit(self, engine: Engine, session: Session | None) -> str | None:
        """
        Name why this engine's answers may depend on more than the statement.
        """
        if self.left:
            return "context"
        place = watch_of(engine).meddler
        if place is None and session is not None:
            listeners = tuple(session.dispatch.after_begin)
            if listeners not in self._sessions:
                self._sessions[listeners] = session_meddler(listeners)
            place = self._sessions[listeners]
        return None if place is None else self._meddled(place)

    def unlearnt(self, engine: Engine) -> str | None:
        """
        Name why nothing can be cached of this database, whatever the app says.
        """
        if self.unlearnable:
            return "catalogue_unknown"
        if self.in_memory and not isinstance(engine.pool, _SHARING):
            return "private_memory"
        return None

    def readable(self, tables: frozenset[str]) -> str | None:
        """
        Name why answers from some of these tables can't be kept, whatever they vary on.
        """
        if self.catalogue is None:
            return "catalogue_unknown"
        return self.catalogue.readable(tables, varied=True)

    @staticmethod
    def shares_connections(engine: Engine) -> bool:
        """
        Tell whether a session may be given a connection that another is using.
        """
        return isinstance(engine.pool, _SHARING)

    def forget_catalogue(self) -> None:
        """
        Note that tables, triggers or views may have changed, for every engine on it.
        """
        for other in (self, *databases()):
            if self.identity is None or other.server_tag == self.server_tag:
                other.changes += 1
                other.catalogue = None

    def begin_change(self, change: Change) -> None:
        """
        Learn nothing until a transaction ends that changes the catalogue.

        Other connections read the old one until it commits.
        """
        with _guard:
            _changes.add(change)
        self.forget_catalogue()

    @staticmethod
    def end_change(change: Change) -> None:
        """
        Note that such a transaction has ended.
        """
        with _guard:
            _changes.discard(change)

    def _changing(self) -> bool:
        if not _changes:
            return False
        with _guard:
            return any(
                self.server_tag == change.database.server_tag for change in _changes
            )

    def _hidden(self, dbapi_connection: Any) -> bool:
        """
        Tell whether a connection may see the catalogue as it was before a change.
        """
        if self._changing():
            return True
        state = existing(dbapi_connection)
        if state is None or state.outlook.note is None:
            return False
        outlook = state.outlook
        return outlook.sight is not Sight.STATEMENT and outlook.changes != self.changes

    def tags_read(
        self, tables: frozenset[str], catalogue: Catalogue | None
    ) -> tuple[str, ...]:
        """
        Name what an answer from these tables depends on, by one reading of the catalogue.
        """
        of, known = self._read_tags
        if of is not catalogue:
            known = {}
            self._read_tags = (catalogue, known)
        tags = known.get(tables)
        if tags is None or self.identity is None:
            if len(known) >= _MOST_READS:
                known.clear()
            behind = tables if catalogue is None else catalogue.read_behind(tables)
            tags = known[tables] = read_tags(self.identity or "", behind)
        return tags

    def tags_written(
        self, writes: Iterable[tuple[str, str]], *, unknown: bool
    ) -> tuple[str, ...]:
        """
        Name what writes change, cascades and triggers included.
        """
        tags = self._written.tags(self, writes, unknown=unknown)
        return (*tags, ANY_DATABASE) if self.attaches else tags

    def _meddled(self, place: str) -> str:
        once(
            "listeners",
            f"{self.serial}:{place}",
            "an engine is not cached: what it answers may depend on %s. Name what "
            "answers vary on: attach(..., vary=...), or vary=None for nothing.",
            place,
        )
        return "listeners"


def database_of(dialect: Dialect) -> Database:
    """
    Give what is known of the database behind a dialect object.
    """
    database: Database | None = dialect.__dict__.get(_PLACE)
    if database is None:
        with _guard:
            database = dialect.__dict__.setdefault(_PLACE, Database(dialect))
            _known.add(database)
    return database


def watch_of(engine: Engine) -> Watch:
    """
    Give what listens on an engine now.
    """
    watch: Watch | None = engine.__dict__.get(_WATCH)
    if watch is None or not watch.holds():
        watch = engine.__dict__[_WATCH] = Watch(engine)
    return watch


def databases() -> list[Database]:
    """
    List the databases seen so far.
    """
    with _guard:
        return list(_known)


def isolation(dialect: Any, options: Any) -> str | None:
    """
    Give the isolation level that a connection with these options runs at.
    """
    return (
        options.get("isolation_level")
        or dialect._on_connect_isolation_level
        # set with an engine's first connection
        or getattr(dialect, "default_isolation_level", None)
    )


def _after_fork() -> None:
    """
    Ask anew in a child who each database is, and so tell the others of the child.
    """
    _changes.clear()
    for database in list(_known):
        if not database.in_memory:
            database.company = None
            database.forget()


after_fork(_after_fork)

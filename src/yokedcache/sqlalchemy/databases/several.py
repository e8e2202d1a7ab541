"""
Several processes on one database: each stops serving what others may change.

A cache in memory hears only its own process. So a process tells the others before
it reads or writes a database for the first time (see `runtime.presence`), and what
was kept of it goes, in all of them, until they are gone. A SQLite file can tell
that it was changed: it is asked at each look-up instead (see `file_watch`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.util import await_only

from yokedcache.machine import machines
from yokedcache.runtime.forks import Guard, after_fork
from yokedcache.runtime.log import once
from yokedcache.runtime.managers import worker_manager
from yokedcache.runtime.presence import Presence
from yokedcache.sqlalchemy.databases.file_watch import Asker, FileWatch, watch_of
from yokedcache.sqlalchemy.names import database_tag
from yokedcache.sqlalchemy.statements.sql_functions import family

if TYPE_CHECKING:
    from yokedcache.core.tags import Fence
    from yokedcache.machine import Machine
    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.stores.memory import MemoryStore

REASON: Final = "several_processes"
_ASKED: Final = frozenset({"mysql", "postgresql", "sqlite"})
"""Kinds of databases of which something may be kept."""

_companies: dict[str, Company] = {}
_guard = Guard()
_forked = False


class Company:
    """
    Who else uses one database, and what that means for the caches of this process.
    """

    def __init__(self, name: str, identity: str, file: FileWatch | None) -> None:
        self.name = name
        self.identity = identity
        self.file = file
        self.why: str | None = None
        """What says that others use it, or may."""
        self._for_good = False
        self._tag = database_tag(identity)
        self._covers: WeakKeyDictionary[MemoryStore, Asker | Fence] = (
            WeakKeyDictionary()
        )

    def crowd(self, why: str, *, for_good: bool = False) -> None:
        """
        Stop serving: when this returns nothing kept of the database is given.
        """
        with _guard:
            self._for_good = self._for_good or for_good
            if self.why is None:
                # first, for caches that are made from now on; see `refusal`
                self.why = why
                for machine in machines():
                    if not _hears(machine):
                        self._stop(machine)

    def clear_out(self) -> None:
        """
        Begin to serve again, with nothing of what was kept.
        """
        with _guard:
            if self._for_good:
                return
            self.why = None
            for machine in machines():
                machine.shared.pop(self.identity, None)
            for store in list(self._covers):
                self._free(store, self._covers.pop(store))
            if self.file is not None:
                self.file.close()

    def refusal(self, machine: Machine) -> str | None:
        """
        Name why nothing of the database may be kept in a cache, asked before each read.
        """
        if machine.settings.watch_files and self.file is not None:
            with _guard:
                self._watch(machine.store, self.file)
            return None
        if self.why is None or _hears(machine):
            return None
        with _guard:
            return self._stop(machine)

    def _stop(self, machine: Machine) -> str | None:
        if self.why is None:  # the last of the others has just gone
            return None
        machine.shared[self.identity] = self.why
        if self.file is None:
            once(REASON, "", _REFUSED, self.identity, self.why)
            if machine.store not in self._covers:
                self._covers[machine.store] = machine.store.fence((self._tag,))
            return "several_processes"
        once(REASON, "", _WATCHED, self.identity, self.why)
        self._watch(machine.store, self.file)
        return None

    def _watch(self, store: MemoryStore, file: FileWatch) -> None:
        if store not in self._covers:
            asker = self._covers[store] = Asker(file, store, self._tag)
            store.cover(asker)
            store.bump((self._tag,))

    def _free(self, store: MemoryStore, cover: Asker | Fence) -> None:
        if isinstance(cover, Asker):
            store.bump((self._tag,))
            store.uncover(cover)
        else:
            store.lift(cover)


def _hears(machine: Machine) -> bool:
    """
    Tell whether a cache hears of all commits that matter to it.

    The store is shared or keeps nothing, or nobody else is there.
    """
    store = machine.store
    return store.shares or bool(store.off) or machine.settings.single_process


_OUT = (
    "Share one cache between them: name its server in YOKEDCACHE_URL; or say that "
    "this process is alone: YokedCache(single_process=True)."
)
_REFUSED = (
    "a cache in memory doesn't hear of other processes' commits, so nothing of the "
    f"database %s is served: %s. {_OUT}"
)
_WATCHED = (
    "a cache in memory doesn't hear of other processes' commits, so each commit, one's "
    f"own as well, drops all that is kept of the file %s: %s. {_OUT}"
)


class Neighbours:
    """
    Hears who comes and goes.
    """

    def arrived(self, name: str) -> None:
        """
        Stop serving what another process uses, too.
        """
        for company in _called(name):
            company.crowd("another process uses it with a cache of its own")

    def left(self, name: str) -> None:
        """
        Serve it again.
        """
        for company in _called(name):
            company.clear_out()

    def grace(self, name: str) -> float:
        """
        Say how long a commit that a process had sent may still take after its end.

        On a file it ends with the process; a server may be at it yet.
        """
        if name.startswith("sqlite:"):
            return 0.0
        return max((m.settings.orphan_grace for m in machines()), default=0.0)


_presence = Presence(Neighbours())


def enter(database: Database, dbapi_connection: Any, identity: str) -> Company:
    """
    Begin to use a database; when this returns every other process knows.
    """
    dialect = database.dialect
    kind = family(dialect.name)
    # of a server whose schemas are databases, any may be written from any other
    server = identity.partition("/")[0]
    digest = hashlib.sha256(server.encode()).hexdigest()[:32]
    with _guard:
        company = _companies.get(identity)
        if company is None:
            file = (
                watch_of(dialect, dbapi_connection, identity)
                if kind == "sqlite"
                else None
            )
            company = Company(f"{kind}:{digest}", identity, file)
            _companies[identity] = company
    for machine in machines():
        machine.store.use(identity)
    why = _others()
    if why is not None:
        company.crowd(why, for_good=True)
    if not _join(dialect, company.name):
        why = "no run directory is there in which another process could be seen"
        company.crowd(why, for_good=True)
    return company


def stranger(database: Database) -> None:
    """
    Tell the others that a database is written to that doesn't say who it is.

    It may be any of its kind.
    """
    kind = family(database.dialect_name)
    if database.identity is None and kind in _ASKED:
        _join(database.dialect, f"{kind}:?")


def came_back_raw(database: Database, dbapi_connection: Any, *, begun: bool) -> None:
    """
    Tell them that a database was written to over a raw connection, if never before.
    """
    if database.identity is None and family(database.dialect_name) in _ASKED:
        if dbapi_connection is not None:
            with contextlib.suppress(Exception):  # it may be in any state
                database.learn(dbapi_connection)
            if not begun:
                with contextlib.suppress(Exception):
                    dbapi_connection.rollback()
        stranger(database)


def refusal(database: Database, machine: Machine) -> str | None:
    """
    Name why nothing of a database may be kept in a cache.
    """
    company = database.company
    return None if company is None else company.refusal(machine)


def capture_refusal(database: Database, store: MemoryStore) -> str | None:
    """
    Name the same for the cache that a capture belongs to.
    """
    company = database.company
    if company is None:
        return None
    for machine in machines():
        if machine.store is store:
            return company.refusal(machine)
    return None


def _join(dialect: Any, name: str) -> bool:
    join = functools.partial(_join_here, name)
    if not dialect.is_async:
        return join()
    # others are waited for: not in the event loop's thread
    try:
        joined: bool = await_only(asyncio.to_thread(join))
    except (MissingGreenlet, RuntimeError):  # brought back as garbage, or at the end
        joined = join()
    return joined


def _join_here(name: str) -> bool:
    try:
        return _presence.join(name)
    except OSError:  # a cache never fails the query; who can't be asked may be there
        return False


def _others() -> str | None:
    if _forked:
        return "this process was forked from one that had begun to use the cache"
    return worker_manager()


def _called(name: str) -> list[Company]:
    return [company for company in list(_companies.values()) if company.name == name]


def _after_fork() -> None:
    global _forked, _presence  # noqa: PLW0603 - the process's
    _forked = _forked or bool(_companies)
    _inherited.extend(_companies.values())
    _companies.clear()
    _presence.abandon()
    _presence = Presence(Neighbours())


_inherited: list[Company] = []
"""The parent's: a child must not close its connections to files."""

after_fork(_after_fork)

"""
The file: how it is made, opened, told from another one, and taken away when damaged.

What a connection has open may be a file that nobody else sees any more: deleted, or
replaced. So each use asks whether the path still leads to it (`identify`). A file says
where it was made: which file it is, in which life of the machine. If that isn't so any
more it is begun anew: it is a copy, or what was last written to it may be lost.

The path may be an application's as well. So a new file is made in place, in what is empty,
and one is taken away only while nobody can put anything into it (`owners`): all of that
under SQLite's own locks of the file, which an application asks for, too.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from yokedcache.errors import StoreError
from yokedcache.stores.sqlite import machine
from yokedcache.stores.sqlite.faults import is_damage, is_locked
from yokedcache.stores.sqlite.layout import APPLICATION, LAYOUT, SCHEMA
from yokedcache.stores.sqlite.owners import Watch, check_ours, is_blank
from yokedcache.stores.sqlite.paths import check_regular
from yokedcache.stores.versions import ORIGIN, word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    Identity: TypeAlias = tuple[int, int]

_LEFT: Final = ("-wal", "-shm")
_NONCE_BYTES: Final = 12
_NOBODYS: Final = b"A" * ORIGIN
"""The origin of a counter that has given no version yet."""
_STATEMENTS: Final = 512
_MARK_BYTES: Final = 6


class MovedError(Exception):
    """
    The path no longer leads to the file that a connection has open.
    """


class DamagedError(Exception):
    """
    A file of ours can't be relied on any more.
    """

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity)
        self.identity = identity


class Link:
    """
    A connection, the file that it leads to, and the incarnation that this is.
    """

    __slots__ = (
        "_patience",
        "_watch",
        "connection",
        "execute",
        "hands",
        "identity",
        "mark",
    )

    def __init__(
        self, connection: sqlite3.Connection, identity: Identity, mark: bytes
    ) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.identity = identity
        self.mark = mark
        self.hands: dict[str, int] = {}
        """How far each table was swept; see `sweeping`."""
        self._patience = -1
        self._watch = Watch()
        connection.set_authorizer(self._watch)

    def be_patient(self, ends: float) -> None:
        """
        Wait for locks until then, and no longer; 0 is not at all.
        """
        patience = max(0, round((ends - time.monotonic()) * 1000)) if ends else 0
        # setting it takes as long as looking, so nearly the same will do; 0 is 0
        near = patience // 10 if patience and self._patience > 0 else 0
        if abs(patience - self._patience) > near:
            self.execute(f"PRAGMA busy_timeout = {patience}")
            self._patience = patience

    def change(self, steps: Callable[[Link], Any], ends: float, path: str) -> Any:
        """
        Do something in one transaction, on the file that the path leads to after it.
        """
        self.be_patient(ends)
        self.execute("BEGIN IMMEDIATE")
        try:
            result = steps(self)
            self.check_ours(path)
            self.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.execute("ROLLBACK")
            raise
        check_unmoved(path, self.identity)
        return result

    def check_ours(self, path: str) -> None:
        """
        Raise if somebody else has put something into the file, as of what was done last.

        All processes hear of it at their next use: none may go on alone, since it would
        miss what the others announce.
        """
        if self._watch.compiled:
            check_ours(self.connection, path)
            self._watch.compiled = False


def identify(path: str) -> Identity | None:
    """
    Tell which file a path leads to; `None` if there is none, or nothing in it.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - at each use, and pathlib takes twice as long
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if found.st_size else None


def check_unmoved(path: str, identity: Identity) -> None:
    """
    Raise if a path no longer leads to a file.
    """
    if identify(path) != identity:
        raise MovedError(path)


def open_link(path: str, ends: float) -> Link:
    """
    Open the file, which is made if there is none.

    Raises:
        StoreError: it is somebody else's, or holds what is.
        MovedError: it was replaced meanwhile, or taken away to be begun anew.
    """
    identity = identify(path)
    if identity is None:
        _make(path, ends)
        identity = identify(path)
    if identity is None:
        raise MovedError(path)
    connection = _open(path, ends)
    try:
        _check_opened(connection, path)
        nonce, home = _set_up(connection, identity)
        if home == _home(identity):
            check_unmoved(path, identity)
            return Link(connection, identity, _mark(nonce, home))
    except BaseException:
        connection.close()
        raise
    connection.close()  # nobody may have it open who takes it away
    _delete(path, identity, ends)
    raise MovedError(path)


def put_aside(path: str, identity: Identity, ends: float) -> None:
    """
    Move a damaged file away, if the path still leads to it; the first one is kept.

    Raises:
        StoreError: it may be somebody else's by now, or hold what is.
    """
    aside = Path(f"{path}-damaged")
    if aside.exists():  # it may be somebody's
        _delete(path, identity, ends)
        return
    with _still(path, identity, ends) as connection:
        if connection is None:
            return
        connection.execute("BEGIN IMMEDIATE")
        check_ours(connection, path)
        _clean(path)
        Path(path).rename(aside)


def _delete(path: str, identity: Identity, ends: float) -> None:
    """
    Delete a file that nobody else has open, if the path still leads to it.
    """
    with _still(path, identity, ends) as connection:
        if connection is None:
            return
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if not is_locked(error):
                raise
            msg = (
                f"{path} is a copy, damaged, or from before this machine started, and "
                "can't be begun anew: another program has it open; close that, or "
                "take another path"
            )
            raise StoreError(msg, path=path) from error
        check_ours(connection, path)
        _clean(path)
        Path(path).unlink()


@contextmanager
def _still(
    path: str, identity: Identity, ends: float
) -> Iterator[sqlite3.Connection | None]:
    """
    Open a file that no other process of ours makes or takes away; `None` if it is gone.
    """
    with _alone(path, ends):
        if identify(path) != identity:
            yield None
            return
        with closing(_open(path, ends)) as connection:
            yield connection


def _home(identity: Identity | None) -> str:
    return f"{machine.BOOT}:{identity}"


def _mark(nonce: bytes, home: str) -> bytes:
    facts = f"{nonce.hex()}:{home}".encode()
    return word(blake2b(facts, digest_size=_MARK_BYTES).digest())


def _check_opened(connection: sqlite3.Connection, path: str) -> None:
    try:
        check_ours(connection, path)
    except StoreError:
        if identify(path) is None:  # whoever began to make it is no more
            raise MovedError(path) from None
        raise


def _set_up(connection: sqlite3.Connection, identity: Identity) -> tuple[bytes, str]:
    """
    Make a connection ready; give the nonce that was drawn with the file, and its home.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        _care(connection)
        connection.execute("PRAGMA cell_size_check = ON")
        rows = connection.execute("SELECT nonce, home FROM counter").fetchall()
    except sqlite3.Error as error:
        if is_damage(error):
            raise DamagedError(identity) from error
        raise
    if len(rows) != 1 or not isinstance(rows[0][0], bytes):
        raise DamagedError(identity)
    nonce, home = rows[0]
    return bytes(nonce), str(home)


def _care(connection: sqlite3.Connection) -> None:
    """
    Wait for the disk only where nobody can tell afterwards that the machine stopped.
    """
    connection.execute(f"PRAGMA synchronous = {'OFF' if machine.BOOT else 'FULL'}")


def _make(path: str, ends: float) -> None:
    """
    Make a file of ours of one that is empty, or isn't there, whoever else has it open.
    """
    check_regular(path)
    with _alone(path, ends), closing(_connect(path, ends)) as connection:
        _care(connection)
        connection.execute("BEGIN EXCLUSIVE")
        if not is_blank(connection):
            return
        # left by one that was deleted: what is empty has none, and SQLite finds it by name
        _clean(path)
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {LAYOUT}")
        connection.execute(
            "INSERT INTO counter VALUES (?, ?, ?, 0, 0, 0)",
            (os.urandom(_NONCE_BYTES), _home(_number(path)), _NOBODYS),
        )
        connection.execute("COMMIT")


def _number(path: str) -> Identity:
    found = os.stat(path)  # noqa: PTH116 - as `identify` does, which waits for contents
    return found.st_dev, found.st_ino


def _clean(path: str) -> None:
    for ending in _LEFT:
        Path(path + ending).unlink(missing_ok=True)


@contextmanager
def _alone(path: str, ends: float) -> Iterator[None]:
    """
    Let one process at a time make the file, or take it away.
    """
    with closing(_connect(f"{path}-lock", ends)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):
                lock.execute("ROLLBACK")


def _open(path: str, ends: float) -> sqlite3.Connection:
    return _connect(f"{Path(path).as_uri()}?mode=rw", ends, uri=True)


def _connect(where: str, ends: float, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        where,
        timeout=max(0.0, ends - time.monotonic()),
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
        uri=uri,
    )

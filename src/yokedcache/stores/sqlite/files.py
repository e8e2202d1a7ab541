"""
The file: how it is made, opened, told from another one, and taken away when damaged.

What a connection has open may be a file that nobody else sees any more: deleted, or
replaced. So each use asks whether the path still leads to it (`identify`). A file says
where it was made: which file it is, in which life of the machine. If that isn't so any
more it is begun anew: it is a copy, or what was last written to it may be lost. A new
file is made beside the path and moved there whole, under a lock, after what a deleted one
left behind is gone: SQLite finds its log by the path alone.
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
from yokedcache.stores.sqlite.faults import is_damage
from yokedcache.stores.sqlite.layout import APPLICATION, LAYOUT, SCHEMA
from yokedcache.stores.versions import ORIGIN, word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    Identity: TypeAlias = tuple[int, int]

_LEFT: Final = ("-wal", "-shm", "-journal")
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

    __slots__ = ("_patience", "connection", "execute", "hands", "identity", "mark")

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
            self.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.execute("ROLLBACK")
            raise
        check_unmoved(path, self.identity)
        return result


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
        StoreError: it is somebody else's.
        MovedError: it was replaced meanwhile.
    """
    identity = identify(path)
    if identity is None:
        _make(path, ends)
        identity = identify(path)
    if identity is None:
        raise MovedError(path)
    where = f"{Path(path).as_uri()}?mode=rw"
    connection = _connect(where, ends, uri=True)
    try:
        _check_ours(connection, path)
        nonce, home = _set_up(connection, identity)
        if home != _home(identity):
            take_away(path, identity, ends)
        check_unmoved(path, identity)
        return Link(connection, identity, _mark(nonce, home))
    except BaseException:
        connection.close()
        raise


def take_away(
    path: str, identity: Identity, ends: float, *, damaged: bool = False
) -> None:
    """
    Take a file away, if the path still leads to it; a damaged one is kept beside it.

    What SQLite found damaged may be somebody's, who wrote over ours.
    """
    with _alone(path, ends):
        if identify(path) == identity:
            if damaged:
                Path(path).replace(f"{path}-damaged")
            else:
                Path(path).unlink()
            _clean(path)


def _home(identity: Identity | None) -> str:
    return f"{machine.BOOT}:{identity}"


def _mark(nonce: bytes, home: str) -> bytes:
    facts = f"{nonce.hex()}:{home}".encode()
    return word(blake2b(facts, digest_size=_MARK_BYTES).digest())


def _check_ours(connection: sqlite3.Connection, path: str) -> None:
    ((application,),) = connection.execute("PRAGMA application_id")
    ((layout,),) = connection.execute("PRAGMA user_version")
    if application != APPLICATION:
        raise StoreError(
            f"{path} is a database of something else: the cache needs a file of its own",
            path=path,
        )
    if layout != LAYOUT:
        raise StoreError(
            f"{path} was made by another version of yokedcache: delete it, or take "
            "another path",
            path=path,
        )


def _set_up(connection: sqlite3.Connection, identity: Identity) -> tuple[bytes, str]:
    """
    Make a connection ready; give the nonce that was drawn with the file, and its home.
    """
    try:
        connection.execute(f"PRAGMA synchronous = {'OFF' if machine.BOOT else 'FULL'}")
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


def _make(path: str, ends: float) -> None:
    with _alone(path, ends):
        if identify(path) is not None:
            return
        _clean(path)
        made = f"{path}-new"
        Path(made).unlink(missing_ok=True)
        _clean(made)
        with closing(_connect(made, ends)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {LAYOUT}")
            connection.execute(
                "INSERT INTO counter VALUES (?, ?, ?, 0, 0, 0)",
                (os.urandom(_NONCE_BYTES), _home(identify(made)), _NOBODYS),
            )
        Path(made).replace(path)


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


def _connect(where: str, ends: float, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        where,
        timeout=max(0.0, ends - time.monotonic()),
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
        uri=uri,
    )

"""
Asking a SQLite file whether anybody has changed it.

`PRAGMA data_version` on a connection kept for that tells that some other one has
committed, in whatever process, not what. So everything kept of the file goes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yokedcache.runtime.forks import Guard
from yokedcache.sqlalchemy.databases.identity import file_identity

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from yokedcache.stores.memory import MemoryStore


class FileWatch:
    """
    The kept connection to one file.
    """

    def __init__(self, path: str, identity: str) -> None:
        self._path = path
        self._identity = identity
        self._guard = Guard()
        self._connection: sqlite3.Connection | None = None
        self._opening = 0

    def version(self) -> object:
        """
        Give what changes with every commit on the file; new each time if in doubt.
        """
        with self._guard:
            try:
                if self._connection is None:
                    self._connection = self._opened()
                    self._opening += 1
                rows = self._connection.execute("PRAGMA data_version").fetchall()
            except sqlite3.Error:  # a commit is under way, or the file is gone
                return object()
        # numbers of two connections can't be compared
        return self._opening, rows[0][0]

    def close(self) -> None:
        """
        Close the connection; `version` opens it again.
        """
        with self._guard:
            connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _opened(self) -> sqlite3.Connection:
        # the library that the application uses, too: two copies of SQLite in one
        # process would drop each other's locks
        opened = sqlite3.connect(
            f"{Path(self._path).as_uri()}?mode=rw",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
        )
        if file_identity(self._path) != self._identity:
            opened.close()
            msg = "another file has taken the place of this one"
            raise sqlite3.OperationalError(msg)
        return opened


class Asker:
    """
    Asks for one store, at each look-up.
    """

    def __init__(self, watch: FileWatch, store: MemoryStore, tag: str) -> None:
        self._watch = watch
        self._store = store
        self._tag = tag
        self._seen = watch.version()

    def __call__(self) -> None:
        """
        Drop what depends on the file if it was changed since the last time.
        """
        now = self._watch.version()
        if now != self._seen:
            # in this order: another thread that sees the new number may serve
            self._store.bump((self._tag,))
            self._seen = now


def watch_of(
    dialect: Dialect, dbapi_connection: Any, identity: str
) -> FileWatch | None:
    """
    Give what watches the file of a connection, if Python's own driver opened it.
    """
    driver: Any = getattr(dialect, "dbapi", None)
    module = getattr(driver, "sqlite", driver)
    if getattr(module, "connect", None) is not sqlite3.connect:
        return None
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute("PRAGMA database_list")
        files = {name: path for _, name, path in cursor.fetchall()}
    except sqlite3.Error:
        return None
    finally:
        cursor.close()
    return FileWatch(files["main"], identity)

"""
Whose a file is: the cache's own, somebody else's, or both.

Our number in its head isn't enough: an application that was given the same path makes its
tables in our file. So all that the file holds has to be what `layout` puts there, each
time that a connection is opened, each time that SQLite finds its tables changed, and
before the file is taken away, under a lock by which nobody can add anything.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from yokedcache.errors import StoreError
from yokedcache.stores.sqlite.faults import is_damage, is_no_database
from yokedcache.stores.sqlite.layout import APPLICATION, LAYOUT, SCHEMA

# what begins with `sqlite_` is SQLite's own: statistics, and indexes of tables
_CATALOGUE: Final = (
    "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%'"
    " ESCAPE '\\' ORDER BY type DESC, name"
)
_SHOWN: Final = 3
_COMPILED: Final = frozenset(
    {
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_DELETE,
    }
)


def _plain(sql: str | None) -> str:
    return " ".join((sql or "").split())


_OURS: Final = frozenset(_plain(sql) for sql in SCHEMA.split(";"))


class Watch:
    """
    Told by SQLite what a connection's statements do, when it compiles them.

    It does so once, and anew after somebody has changed what tables there are.
    """

    __slots__ = ("compiled",)

    def __init__(self) -> None:
        self.compiled = True
        """Whether it did since the file was last looked into."""

    def __call__(self, action: int, *_: object) -> int:
        """
        Take down that a table is used by what is compiled; allow it.
        """
        if action in _COMPILED:
            self.compiled = True
        return sqlite3.SQLITE_OK


def check_ours(connection: sqlite3.Connection, path: str) -> None:
    """
    Raise unless a file is the cache's, and holds nothing else.

    Raises:
        StoreError: it isn't, or that can't be told.
    """
    try:
        ((application,),) = connection.execute("PRAGMA application_id")
        ((layout,),) = connection.execute("PRAGMA user_version")
        found = connection.execute(_CATALOGUE).fetchall()
    except sqlite3.Error as error:
        if is_damage(error) and not is_no_database(error):
            msg = (
                f"{path} is so damaged that it can't be told whose it is, and is left "
                "alone: delete it, or take another path"
            )
            raise StoreError(msg, path=path) from error
        raise
    if application != APPLICATION:
        msg = (
            f"{path} is a database of something else: the cache needs a file of its "
            "own, so take another path"
        )
        raise StoreError(msg, path=path)
    if layout != LAYOUT:
        msg = (
            f"{path} was made by another version of yokedcache: delete it, or take "
            "another path"
        )
        raise StoreError(msg, path=path)
    _check_alone(path, [(kind, name) for kind, name, sql in found if not _is_ours(sql)])


def is_blank(connection: sqlite3.Connection) -> bool:
    """
    Tell whether nobody has ever put anything into a file, not even how it is to be used.
    """
    facts = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "schema_version")
    ]
    ((mode,),) = connection.execute("PRAGMA journal_mode")
    return not any(facts) and mode != "wal"


def _is_ours(sql: str | None) -> bool:
    return _plain(sql) in _OURS


def _check_alone(path: str, others: list[tuple[str, str]]) -> None:
    if not others:
        return
    shown = ", ".join(f"{kind} {name!r}" for kind, name in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    msg = (
        f"{path} holds something else beside the cache ({shown}{more}), and is left "
        "alone: the cache needs a file of its own, so take another path for it"
    )
    raise StoreError(msg, path=path)

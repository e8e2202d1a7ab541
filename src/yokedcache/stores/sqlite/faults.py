"""
What SQLite and the file system raise, as our own error: asked what, and what is wrong.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from yokedcache.errors import StoreError
from yokedcache.stores.sqlite.paths import why_closed

CAUGHT: Final = (sqlite3.Error, OSError)

_SAID: Final[dict[int, str]] = {
    sqlite3.SQLITE_BUSY: "another process has it locked",
    sqlite3.SQLITE_LOCKED: "another process has it locked",
    sqlite3.SQLITE_READONLY: "it can't be written",
    sqlite3.SQLITE_PERM: "it can't be written",
    sqlite3.SQLITE_FULL: "there is no room left for it",
    sqlite3.SQLITE_IOERR: "it can't be read or written",
    sqlite3.SQLITE_CORRUPT: "it is damaged, and is begun anew",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: delete it, or take another path",
}
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNCERTAIN: Final = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
    }
)
"""What may lie in the path, or in who may do what there."""
_DAMAGED: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB}
)


def is_locked(error: BaseException) -> bool:
    """
    Tell whether it is only that somebody else has the file locked.
    """
    return _code(error) in _LOCKED


def is_damage(error: BaseException) -> bool:
    """
    Tell whether a file that was ours can't be relied on any more.

    What is found in it may be of types that never were written.
    """
    return isinstance(error, TypeError | ValueError) or _code(error) in _DAMAGED


def is_no_database(error: BaseException) -> bool:
    """
    Tell whether what is there was never a file of SQLite's.
    """
    return _code(error) == sqlite3.SQLITE_NOTADB


def store_error(error: BaseException, asked: str, path: str) -> StoreError:
    """
    Say what was asked of which file, and what went wrong.
    """
    if isinstance(error, StoreError):
        return StoreError(
            f"can't {asked}: {error.message}", **{"asked": asked, **error.facts}
        )
    code = sqlite3.SQLITE_CORRUPT if is_damage(error) else _code(error)
    if is_no_database(error):
        code = sqlite3.SQLITE_NOTADB
    said = _SAID.get(code) or ""
    if code in _UNCERTAIN or isinstance(error, OSError):
        said = ": ".join(filter(None, (said, why_closed(path)))) or str(error)
    shown = f" ({error})" if str(error) not in said else ""
    return StoreError(f"{path} can't {asked}: {said}{shown}", asked=asked, path=path)


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", -1) & 0xFF

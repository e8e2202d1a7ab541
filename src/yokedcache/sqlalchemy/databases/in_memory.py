"""
Who a SQLite database in memory is: it doesn't say so itself.

A plain `:memory:` is reached over no other connection, so it is its engine's own. A
URI may name one that is reached from all of the process (`cache=shared`, or
`vfs=memdb`), in many spellings, and what a function of the app's opens can't be seen:
all of these have one name, so that each hears what is committed over any other.
That costs hits at most: keys are their engine's own, whatever the name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from yokedcache.runtime.naming import this_process
from yokedcache.sqlalchemy.databases.identity import (
    connect_arguments,
    database_identity,
)

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.databases.database import Database

_URI: Final = "file:"


def identity_of(database: Database, dbapi_connection: Any) -> str:
    """
    Ask who a connection's database is; empty where it lies in this process's memory.

    Raises:
        IdentityUnknown: the server doesn't say.
    """
    if database.dialect_name == "sqlite":
        pool = getattr(dbapi_connection, "_pool", None) or database.pool()
        database.may_share = may_share(pool)
        if database.may_share and is_memdb(dbapi_connection, pool):
            return ""
    return database_identity(dbapi_connection, database.dialect_name, None)


def name_of(database: Database) -> str:
    """
    Name a database that no other process reaches.
    """
    own = "shared" if database.may_share else database.serial
    return f"memory:{this_process()}:{own}"


def may_share(pool: Any) -> bool:
    """
    Tell whether a pool's connections may share a cache with those of other pools.

    Then each may reach the same database in memory, and see what others haven't
    committed (`PRAGMA read_uncommitted`).
    """
    address = _address(pool)
    return address is None or address.startswith(_URI)


def is_memdb(dbapi_connection: Any, pool: Any) -> bool:
    """
    Tell whether what SQLite names like a file is in its memory (`vfs=memdb`).
    """
    address = _address(pool)
    if address is not None:
        return address.startswith(_URI) and _vfs(address) == "memdb"
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute("PRAGMA database_list")
        files: dict[str, str] = {name: path for _, name, path in cursor.fetchall()}
    finally:
        cursor.close()
    path = files.get("main", "")
    return bool(path) and not Path(path).exists()


def _address(pool: Any) -> str | None:
    """
    Give what a pool's connections are opened with, if that can be seen.
    """
    found = connect_arguments(pool)
    if found is None or not found[0] or pool._dialect.dispatch.do_connect:
        return None
    return str(found[0][0])


def _vfs(uri: str) -> str:
    query = uri.partition("#")[0].partition("?")[2]
    pairs = [part.partition("=") for part in query.split("&")]
    named = [unquote(value) for name, _, value in pairs if unquote(name) == "vfs"]
    return named[-1] if named else ""  # as SQLite reads it

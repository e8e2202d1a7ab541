"""
Who a database is, and how an engine asks it.

Two identities that must not be mixed up. The tags of a database carry the name
that it gives itself, so that every driver, host name and process on it invalidates
the others. The keys of an engine carry all that may change its answers: dialect,
driver, user, address and connection arguments, as a digest that holds no password.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.databases import identity_mysql
from yokedcache.sqlalchemy.databases.births import birth
from yokedcache.sqlalchemy.databases.unknown import IdentityUnknown
from yokedcache.sqlalchemy.statements.sql_functions import family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL, Engine

__all__ = [
    "IdentityUnknown",
    "connect_arguments",
    "database_identity",
    "engine_fingerprint",
    "server_epoch",
]

_SECRETS = frozenset({"password", "passwd", "pass", "pwd", "sslpassword", "pwfile"})


def database_identity(dbapi_connection: Any, dialect_name: str, url: URL | None) -> str:
    """
    Ask a database who it is; an in-memory SQLite answers with an empty string.
    """
    del url  # the same database has many addresses, and none of them is its name
    readers = {
        "postgresql": _postgresql,
        "sqlite": _sqlite,
        "mysql": identity_mysql.read,
    }
    read = readers.get(family(dialect_name))
    if read is None:
        msg = f"{dialect_name} isn't asked for its identity yet"
        raise IdentityUnknown(msg)
    cursor = dbapi_connection.cursor()
    try:
        return read(cursor)
    except IdentityUnknown:
        raise
    except Exception as error:
        msg = f"the database doesn't say who it is: {error}"
        raise IdentityUnknown(msg) from error
    finally:
        cursor.close()


def _postgresql(cursor: Any) -> str:
    # Asked for the right first: a refusal would abort the caller's transaction.
    cursor.execute(
        "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()',"
        " 'execute'), pg_catalog.pg_is_in_recovery()"
    )
    allowed, standby = cursor.fetchone()
    if standby:
        raise IdentityUnknown("it is a standby, and may be behind")
    if not allowed:
        msg = "this role may not call pg_control_system()"
        raise IdentityUnknown(msg)
    cursor.execute(
        "SELECT s.system_identifier::text, d.oid::text"
        " FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d"
        " WHERE d.datname = pg_catalog.current_database()"
    )
    system, database = cursor.fetchone()
    return f"pg:{system}:{database}"


def _sqlite(cursor: Any) -> str:
    cursor.execute("PRAGMA database_list")
    files = {name: path for _, name, path in cursor.fetchall()}
    attached = sorted(set(files) - {"main", "temp"})
    if attached:
        msg = f"other databases are attached: {', '.join(attached)}"
        raise IdentityUnknown(msg)
    path = files.get("main")
    if not path:
        return ""
    return file_identity(path)


def file_identity(path: str) -> str:
    """
    Name the SQLite file at a path.
    """
    status = os.stat(path)  # noqa: PTH116 - SQLite gives the whole path
    return f"sqlite:{status.st_dev}:{status.st_ino}:{birth(path)}"


def server_epoch(dbapi_connection: Any, dialect_name: str) -> str:
    """
    Ask a server since when it runs: after a crash or a failover it may have lost commits.
    """
    if family(dialect_name) != "postgresql":
        return ""
    cursor = dbapi_connection.cursor()
    try:
        # in no time zone: each connection may have its own
        cursor.execute(
            "SELECT EXTRACT(epoch FROM pg_catalog.pg_postmaster_start_time())::text"
        )
        return str(cursor.fetchone()[0])
    except Exception as error:
        msg = f"the server doesn't say since when it runs: {error}"
        raise IdentityUnknown(msg) from error
    finally:
        cursor.close()


def engine_fingerprint(engine: Engine) -> str:
    """
    Return a digest of all that decides what an engine's connections answer.

    Where connections are made by a function of the app, nothing can be said about
    those; `listeners` tells such engines apart.
    """
    arguments = connect_arguments(engine.pool)
    if arguments is None:
        return "creator"
    url = engine.url
    parts = [
        f"{engine.dialect.name}+{engine.dialect.driver}",
        f"{url.username}@{url.host}:{url.port}/{url.database}",
        *_lines("query", url.query),
    ]
    own = _own_arguments(engine)
    for index, value in enumerate(arguments[0]):
        parts.extend(_lines(f"arg{index}", value))
    for name, value in sorted(arguments[1].items()):
        parts.extend(_lines(name, value, own=own.get(name)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def connect_arguments(pool: Any) -> tuple[list[Any], dict[str, Any]] | None:
    """
    Give what the driver is called with for each of a pool's connections, if that is known.
    """
    # SQLAlchemy keeps connect_args nowhere but in the function that it makes for
    # the pool; anything else that stands there is a creator of the app's.
    creator = getattr(pool, "_creator", None)
    code = getattr(creator, "__code__", None)
    if code is None or getattr(creator, "__module__", "") != "sqlalchemy.engine.create":
        return None
    try:
        cells = dict(zip(code.co_freevars, creator.__closure__, strict=True))  # type: ignore[union-attr]
        args = list(cells["cargs_tup"].cell_contents)
        params = dict(cells["cparams"].cell_contents)
    except (KeyError, TypeError, ValueError):
        return None
    return args, params


def _own_arguments(engine: Engine) -> dict[str, Any]:
    try:
        return dict(engine.dialect.create_connect_args(engine.url)[1])
    except Exception:  # noqa: BLE001 - then every object counts as the app's
        return {}


def _lines(name: str, value: Any, own: Any = None) -> Iterator[str]:
    # Each value with its place and type, so that no two differ and look the same.
    # `own` is what SQLAlchemy itself passes: the same object tells nothing.
    if name.rsplit(".", 1)[-1].lower() in _SECRETS:
        return
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _lines(f"{name}.{key}", value[key])
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _lines(f"{name}[{index}]", item)
    elif value is None or isinstance(value, (str, bytes, bool, int, float)):
        yield f"{name}={type(value).__name__}:{value!r}"
    else:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        yield f"{name}={kind}:{'' if value is own else _mark(value)}"


def _mark(value: Any) -> str:
    # 1. A class or a function at the top of a module is the same in any process.
    # 2. Anything else is itself alone: no two processes share what it answers.
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str) and "<" not in name and hasattr(value, "__module__"):
        return f"{value.__module__}.{name}"
    return f"{os.getpid()}:{id(value)}"

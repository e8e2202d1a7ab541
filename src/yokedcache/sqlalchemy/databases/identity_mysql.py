"""
Who a MySQL or MariaDB database is: its server, and the schema in use on it.

MySQL's servers have a UUID of their own. MariaDB's have none, so what no connection
can change stands for it: where its data lie, its host and port, and the digest of
the machine that newer versions give. The version is no part of it: after an upgrade
the data are the same.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from yokedcache.sqlalchemy.databases.unknown import IdentityUnknown
from yokedcache.sqlalchemy.statements.analysis import fold

SCHEMA: Final = "/"
"""What stands between server and schema in an identity."""

_VARIABLES = """
SHOW GLOBAL VARIABLES WHERE Variable_name IN (
    'server_uuid', 'server_uid', 'hostname', 'port', 'datadir', 'read_only', 'wsrep_on')
"""
ODD_MODES: Final = frozenset({"ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ORACLE"})
"""Modes in which statements read otherwise than the analysis reads them."""


def read(cursor: Any) -> str:
    """
    Ask the server with an open cursor.
    """
    cursor.execute("SELECT DATABASE(), @@SESSION.sql_mode")
    schema, modes = map(_text, cursor.fetchone())
    if not schema:
        raise IdentityUnknown("no database is selected: name one in the URL")
    odd = ODD_MODES.intersection(modes.upper().split(","))
    if odd:
        raise IdentityUnknown(f"sql_mode has {', '.join(sorted(odd))}")
    cursor.execute(_VARIABLES)
    found = {_text(name).lower(): _text(value) for name, value in cursor.fetchall()}
    if found.get("wsrep_on", "OFF") == "ON":
        raise IdentityUnknown("a Galera node may be behind the others")
    if found.get("read_only", "OFF") == "ON":
        raise IdentityUnknown("it is read only, as replicas are, and may be behind")
    return f"my:{_server(found)}{SCHEMA}{fold(schema)}"


def schema_of(identity: str | None) -> str:
    """
    Return the schema that an identity names; empty if it names none.
    """
    return (identity or "").partition(SCHEMA)[2]


def _server(found: dict[str, str]) -> str:
    if uuid := found.get("server_uuid"):
        return uuid
    names = ("server_uid", "hostname", "port", "datadir")
    parts = "\n".join(f"{name}={found.get(name, '')}" for name in names)
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _text(value: Any) -> str:
    # some versions give names and settings as bytes
    return value.decode() if isinstance(value, bytes) else str(value or "")

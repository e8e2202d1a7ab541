"""
SQLite's catalogue: the schema tables of the main, temporary and attached databases.

Ordinary is a plain table of the main database. Virtual tables and their shadow
tables are written by code that isn't seen; temporary and attached tables are those
of one connection. Reading takes no more than SELECTs and pragmas, so that it opens
no transaction under the driver's old rules.
"""

from __future__ import annotations

from typing import Any

from yokedcache.sqlalchemy.analysis import fold
from yokedcache.sqlalchemy.catalogue import Catalogue, Findings

_SCHEMA = "SELECT type, name, tbl_name, sql FROM {} WHERE type IN ('table', {})"
_KEYS = """
SELECT m.name, k."table", k.on_update, k.on_delete
FROM sqlite_master m, pragma_foreign_key_list(m.name) k WHERE m.type = 'table'
"""


def read(cursor: Any) -> Catalogue:
    """
    Read the catalogue with an open cursor.
    """
    found = Findings()
    cursor.execute("PRAGMA database_list")
    schemas = [row[1] for row in cursor.fetchall()]
    for schema in dict.fromkeys(("main", "temp", *schemas)):
        _read_schema(cursor, found, schema)
    cursor.execute(_KEYS)
    for child, parent, on_update, on_delete in cursor.fetchall():
        found.add_foreign_key(fold(parent), fold(child), on_update, on_delete)
    return found.freeze()


def _read_schema(cursor: Any, found: Findings, schema: str) -> None:
    quoted = '"' + schema.replace('"', '""') + '"'
    master = f"{quoted}.{'sqlite_temp_master' if schema == 'temp' else 'sqlite_master'}"
    cursor.execute(_SCHEMA.format(master, "'view', 'trigger'"))
    virtual = []
    for kind, name, table, sql in cursor.fetchall():
        if kind == "trigger":
            found.triggers.add(fold(table))
        elif schema != "main" or kind == "view" or name.startswith("sqlite_"):
            found.add_opaque(fold(name))
        elif (sql or "").lstrip()[:14].upper() == "CREATE VIRTUAL":
            virtual.append(fold(name))
            found.add_opaque(fold(name))
        else:
            found.tables.add(fold(name))
    for name in virtual:
        # Shadow tables carry the virtual table's name and an underscore.
        for table in [one for one in found.tables if one.startswith(name + "_")]:
            found.add_opaque(table)

"""
SQLite's catalogue: the schema tables of the main, temporary and attached databases.

Ordinary is a plain table of the main database; views and triggers count by their
statements. Virtual tables and their shadow tables are written by code that isn't
seen; temporary and attached tables are those of one connection. Reading takes no
more than SELECTs and pragmas, so that it opens no transaction under the driver's
old rules.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.databases.bodies import effects_of_statement
from yokedcache.sqlalchemy.databases.findings import Findings
from yokedcache.sqlalchemy.statements.analysis import fold
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.databases.catalogue import Catalogue

_SCHEMA = "SELECT type, name, tbl_name, sql FROM {} WHERE type IN ('table', {})"
_KEYS = """
SELECT m.name, k."table", k.on_update, k.on_delete
FROM sqlite_master m, pragma_foreign_key_list(m.name) k WHERE m.type = 'table'
"""
_NAME = r"""(?:"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|'[^']*'|\w+)"""
_VIEW = re.compile(rf"CREATE\s+VIEW\s+{_NAME}\s*(?:\([^)]*\)\s*)?AS\b", re.IGNORECASE)


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
            found.add_trigger(fold(table), effects_of_statement(sql, "sqlite"))
        elif schema != "main" or name.startswith("sqlite_"):
            found.add_opaque(fold(name))
        elif kind == "view":
            _read_view(found, name, sql)
        elif (sql or "").lstrip()[:14].upper() == "CREATE VIRTUAL":
            virtual.append(fold(name))
            found.add_opaque(fold(name))
        else:
            found.tables.add(fold(name))
    for name in virtual:
        # Shadow tables carry the virtual table's name and an underscore.
        for table in [one for one in found.tables if one.startswith(name + "_")]:
            found.add_opaque(table)


def _read_view(found: Findings, name: str, sql: str) -> None:
    head = _VIEW.match(sql)
    if head is None:  # with comments in its head, say
        found.add_opaque(fold(name))
        return
    found.add_view(fold(name), analyse_text(sql[head.end() :], "sqlite"))

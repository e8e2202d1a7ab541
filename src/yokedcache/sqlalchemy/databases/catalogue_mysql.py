"""
The catalogue of a MySQL or MariaDB schema: what `information_schema` shows of it.

Ordinary is a plain table of an engine with transactions. MyISAM and Aria tables are
ordinary too, but written at once. A view is what its query reads; everything else
(sequences, tables whose rows lie elsewhere or are lost with the server) is opaque. A
table is opaque too if a column of it is computed at each read, and differs then. The
server shows only what the user has rights on: who may not see the triggers may not
rely on there being none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.databases.bodies_mysql import effects_of_trigger
from yokedcache.sqlalchemy.databases.findings import Findings
from yokedcache.sqlalchemy.databases.identity_mysql import ODD_MODES
from yokedcache.sqlalchemy.databases.unknown import CatalogueUnknown
from yokedcache.sqlalchemy.statements.analysis import fold
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.databases.catalogue import Catalogue

_TABLES = """
SELECT table_name, table_type, engine FROM information_schema.tables
WHERE table_schema = DATABASE()
"""
_VIEWS = """
SELECT table_name, view_definition FROM information_schema.views
WHERE table_schema = DATABASE()
"""
_COMPUTED = """
SELECT table_name, generation_expression FROM information_schema.columns
WHERE table_schema = DATABASE() AND extra LIKE '%VIRTUAL%'
"""
_TRIGGERS = """
SELECT event_object_table, action_statement, sql_mode
FROM information_schema.triggers WHERE event_object_schema = DATABASE()
"""
_KEYS = """
SELECT referenced_table_name, table_name, update_rule, delete_rule
FROM information_schema.referential_constraints
WHERE constraint_schema = DATABASE() AND unique_constraint_schema = DATABASE()
"""
_KEYS_ELSEWHERE = """
SELECT DISTINCT referenced_table_name FROM information_schema.referential_constraints
WHERE unique_constraint_schema = DATABASE() AND constraint_schema <> DATABASE()
"""
_FUNCTIONS = """
SELECT routine_name FROM information_schema.routines
WHERE routine_schema = DATABASE() AND routine_type = 'FUNCTION'
"""
_EVENTS = """
SELECT event_name, event_definition FROM information_schema.events
WHERE event_schema = DATABASE() AND status = 'ENABLED'
    AND @@GLOBAL.event_scheduler = 'ON'
"""
_RIGHT = """
SELECT 1 FROM (
    SELECT grantee FROM information_schema.user_privileges
    WHERE privilege_type = 'TRIGGER'
    UNION ALL
    SELECT grantee FROM information_schema.schema_privileges
    WHERE privilege_type = 'TRIGGER' AND DATABASE() LIKE table_schema
) granted
WHERE grantee = CONCAT("'", REPLACE(CURRENT_USER(), '@', "'@'"), "'")
"""
_TRANSACTIONAL = frozenset({"INNODB", "ROCKSDB"})
_AT_ONCE = frozenset({"MYISAM", "ARIA", "ARCHIVE"})
_FORGETFUL = frozenset({"MEMORY", "BLACKHOLE"})


def read(cursor: Any) -> Catalogue:
    """
    Read the catalogue with an open cursor.
    """
    found = Findings()
    ((schema,),) = _rows(cursor, "SELECT DATABASE()")
    for name, kind, engine in _rows(cursor, _TABLES):
        _add_table(found, fold(name), kind.upper(), engine.upper())
    for (name,) in _rows(cursor, _FUNCTIONS):
        found.volatile_functions.add(name.lower())
        found.shadowing.add(name.lower())
    for name, query in _rows(cursor, _VIEWS):
        _add_view(found, fold(name), query, fold(schema))
    for name, expression in _rows(cursor, _COMPUTED):
        # MySQL shows its quotes as it keeps them, with a backslash before each
        plain = expression.replace("\\'", "'")
        computed = analyse_text(f"SELECT {plain}", "mysql")
        found.add_computed(fold(name), computed)
    for name, body, modes in _rows(cursor, _TRIGGERS):
        readable = not ODD_MODES.intersection(modes.upper().split(","))
        effects = effects_of_trigger(body, fold(schema), found.shadowing)
        found.add_trigger(fold(name), effects if readable else None)
    for parent, child, on_update, on_delete in _rows(cursor, _KEYS):
        found.add_foreign_key(fold(parent), fold(child), on_update, on_delete)
    for (name,) in _rows(cursor, _KEYS_ELSEWHERE):
        found.triggers.add(fold(name))
    if not _rows(cursor, _RIGHT):
        found.triggers |= found.tables
    return _without_events(found, _rows(cursor, _EVENTS), fold(schema))


def _rows(cursor: Any, query: str) -> list[tuple[str, ...]]:
    cursor.execute(query)
    return [tuple(map(_text, row)) for row in cursor.fetchall()]


def _text(value: Any) -> str:
    # some versions give names as bytes
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _add_table(found: Findings, name: str, kind: str, engine: str) -> None:
    if kind in {"TEMPORARY", "VIEW"}:
        return  # newer versions list temporary tables of the asking connection
    if kind != "BASE TABLE":
        found.add_opaque(name, inert=kind in {"SYSTEM VERSIONED", "SEQUENCE"})
    elif engine in _TRANSACTIONAL:
        found.tables.add(name)
    elif engine in _AT_ONCE:
        found.tables.add(name)
        found.immediate.add(name)
    else:
        found.add_opaque(name, inert=engine in _FORGETFUL)


def _add_view(found: Findings, name: str, query: str, schema: str) -> None:
    # who may not see a view's query is told that there is none
    reads = analyse_text(query, "mysql")
    if not query or reads.schemas - {schema}:
        found.add_opaque(name)
    else:
        found.add_view(name, reads)


def _without_events(
    found: Findings, events: list[tuple[str, ...]], schema: str
) -> Catalogue:
    """
    Take out the tables that the server's scheduler writes: nobody hears of it.
    """
    for name, definition in events:
        effects = effects_of_trigger(definition, schema, found.shadowing)
        tables, unknown = found.freeze().spread(effects or ())
        if effects is None or unknown:
            msg = f"what the event {name} writes can't be read from its text"
            raise CatalogueUnknown(msg)
        for table in tables:
            found.add_opaque(table, inert=True)
    return found.freeze()

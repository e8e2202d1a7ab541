"""
PostgreSQL's catalogue, in one query of rows (what, name, other, detail).

Ordinary is a table without row security, by which everybody sees other rows, told by
policies that may read further tables. Views count by
their definitions, trees of partitions and of inheritance as one table; a foreign
table in one closes it. System relations are opaque by their names, those of other
sessions' temporary schemas don't exist here. Where a column holds times of day with a
zone, `timezone` is no harmless function: their offset in another zone is that of today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.databases import implicit_postgresql
from yokedcache.sqlalchemy.databases.bodies import effects_of_body
from yokedcache.sqlalchemy.databases.findings import Findings
from yokedcache.sqlalchemy.statements.analysis import fold
from yokedcache.sqlalchemy.statements.sql_functions import Kind, classify, words
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.sqlalchemy.databases.catalogue import Catalogue

_QUERY = f"""
WITH RECURSIVE relation AS (
    SELECT c.oid, c.reltype, c.relname, c.relkind, c.relispartition, c.relrowsecurity,
           n.nspname
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname NOT IN ('information_schema', 'pg_toast')
      AND (n.nspname !~ '^pg_(toast_)?temp_' OR n.oid = pg_catalog.pg_my_temp_schema())
), user_function AS (
    SELECT p.oid, p.proname
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.provolatile = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
), of_day_in_zone (type) AS (
    SELECT 'pg_catalog.timetz'::regtype::oid
    UNION
    SELECT t.oid
    FROM of_day_in_zone z
    JOIN pg_catalog.pg_type t ON z.type IN (t.typbasetype, t.typelem)
), {implicit_postgresql.TABLES}
SELECT 'relation', r.relname::text, '', CASE
    WHEN r.nspname = 'pg_catalog' OR r.nspname LIKE 'pg!_temp!_%' ESCAPE '!'
        THEN 'opaque'
    WHEN r.relkind = 'f' THEN 'opaque'
    WHEN r.relkind = 'v' THEN 'view'
    WHEN r.relrowsecurity THEN 'guarded'
    ELSE 'table' END
FROM relation r
UNION ALL
SELECT 'view', r.relname::text, '', pg_catalog.pg_get_viewdef(r.oid)
FROM relation r
WHERE r.relkind = 'v' AND r.nspname <> 'pg_catalog'
UNION ALL
SELECT 'trigger', r.relname::text,
       CASE WHEN l.lanname = 'plpgsql' THEN l.lanname ELSE p.proname END::text,
       CASE WHEN l.lanname = 'plpgsql' THEN p.prosrc ELSE '' END
FROM relation r
JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
UNION ALL
SELECT 'rule', r.relname::text, '', ''
FROM relation r
JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid
WHERE w.rulename <> '_RETURN' AND r.nspname <> 'pg_catalog'
UNION ALL
SELECT 'calls', r.relname::text, f.proname::text, ''
FROM pg_catalog.pg_depend d
JOIN user_function f ON f.oid = d.refobjid
LEFT JOIN pg_catalog.pg_attrdef a
    ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = d.objid
LEFT JOIN pg_catalog.pg_constraint k
    ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
JOIN relation r ON r.oid = coalesce(a.adrelid, k.conrelid)
WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass
UNION ALL
SELECT 'policy', r.relname::text, coalesce(c.relname::text, ''), ''
FROM pg_catalog.pg_policy y
JOIN relation r ON r.oid = y.polrelid
JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = y.oid
LEFT JOIN pg_catalog.pg_class c
    ON d.refclassid = 'pg_catalog.pg_class'::regclass AND c.oid = d.refobjid
WHERE (c.oid IS NOT NULL AND c.oid <> r.oid)
   OR d.refclassid = 'pg_catalog.pg_proc'::regclass
   OR EXISTS (SELECT 1 FROM reached h
              WHERE h.classid = d.refclassid AND h.objid = d.refobjid)
UNION ALL
SELECT 'child', child.relname::text, parent.relname::text, ''
FROM pg_catalog.pg_inherits i
JOIN relation child ON child.oid = i.inhrelid
JOIN relation parent ON parent.oid = i.inhparent
UNION ALL
SELECT 'key', parent.relname::text, child.relname::text,
       k.confupdtype::text || k.confdeltype::text
FROM pg_catalog.pg_constraint k
JOIN relation parent ON parent.oid = k.confrelid
JOIN relation child ON child.oid = k.conrelid
WHERE k.contype = 'f'
UNION ALL
SELECT 'function', f.proname::text, '', '' FROM user_function f
UNION ALL
SELECT 'shadow', p.proname::text, '', ''
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.provolatile <> 'i' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_proc'::regclass
                    AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'shadow', 'timezone', '', ''
WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
              WHERE a.atttypid IN (SELECT z.type FROM of_day_in_zone z))
{implicit_postgresql.ROWS}
"""  # noqa: S608 - constants

_ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


_KNOWN_TRIGGERS = words("""
    moddatetime suppress_redundant_updates_trigger tsvector_update_trigger
    tsvector_update_trigger_column
""")
"""Trigger functions without a body, which change nothing but their own row."""


def read(cursor: Any) -> Catalogue:
    """
    Read the catalogue with an open cursor.
    """
    cursor.execute(_QUERY)
    found = Findings()
    rows = cursor.fetchall()
    rows.sort(key=lambda row: row[0] not in _FIRST)
    for what, name, other, detail in rows:
        _NOTES[what](found, fold(name), other, detail)
    return found.freeze()


def _relation(found: Findings, name: str, _: str, kind: str) -> None:
    if kind == "table":
        found.tables.add(name)
    elif kind == "guarded":
        found.guarded.setdefault(name, set())
    elif kind != "view":  # which has a row of its own
        found.add_opaque(name, inert=kind == "inert")


def _policy(found: Findings, name: str, table: str, _: str) -> None:
    if table:
        found.guarded.setdefault(name, set()).add(fold(table))
    else:  # a function of users, which may read anything
        found.add_opaque(name, inert=True)


def _view(found: Findings, name: str, _: str, query: str) -> None:
    found.add_view(name, analyse_text(query, "postgresql"))


def _trigger(found: Findings, name: str, language: str, body: str) -> None:
    if language in _KNOWN_TRIGGERS:
        return
    readable = language == "plpgsql"
    if readable and not found.implicit.run_by(body)[1]:
        effects = effects_of_body(body, "postgresql", found.shadowing)
    else:
        effects = None
    found.add_trigger(name, effects)


def _rule(found: Findings, name: str, _: str, __: str) -> None:
    found.add_trigger(name, None)


def _calls(found: Findings, name: str, function: str, _: str) -> None:
    # A default such as uuid_generate_v4() is volatile and writes nothing.
    if classify(function.lower(), "postgresql") is Kind.UNKNOWN:
        found.add_trigger(name, None)


def _child(found: Findings, name: str, parent: str, _: str) -> None:
    found.add_child(name, fold(parent))


def _key(found: Findings, name: str, child: str, actions: str) -> None:
    update, delete = (_ACTIONS.get(letter, "") for letter in actions)
    found.add_foreign_key(name, fold(child), update, delete)


def _function(found: Findings, name: str, _: str, __: str) -> None:
    found.volatile_functions.add(name)


def _shadow(found: Findings, name: str, _: str, __: str) -> None:
    if classify(name, "postgresql") is Kind.HARMLESS:
        found.shadowing.add(name)


_NOTES: dict[str, Callable[[Findings, str, str, str], None]] = {
    "relation": _relation,
    "policy": _policy,
    "view": _view,
    "trigger": _trigger,
    "rule": _rule,
    "calls": _calls,
    "child": _child,
    "key": _key,
    "function": _function,
    "shadow": _shadow,
    **implicit_postgresql.NOTES,
}

_FIRST = frozenset({"shadow", *implicit_postgresql.NOTES})
"""What the bodies of triggers may run."""

"""
PostgreSQL's catalogue, in one query of rows (what, name, other, detail).

Ordinary is a plain table without row security, partitions or inheritance; views
may hide anything, row security reads other tables, and partitions are read under
other names than they are written. System relations are opaque by their names,
those of other sessions' temporary schemas don't exist here.
"""

from __future__ import annotations

from typing import Any

from yokedcache.sqlalchemy.analysis import fold
from yokedcache.sqlalchemy.catalogue import Catalogue, Findings
from yokedcache.sqlalchemy.functions import Kind, classify

_QUERY = """
WITH relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relispartition, c.relrowsecurity,
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
)
SELECT 'relation', r.relname::text, '', CASE
    WHEN r.nspname = 'pg_catalog' OR r.nspname LIKE 'pg!_temp!_%' ESCAPE '!'
        THEN 'opaque'
    WHEN r.relkind IN ('v', 'f') THEN 'opaque'
    WHEN r.relkind IN ('m', 'p') OR r.relispartition THEN 'inert'
    WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i
                 WHERE i.inhrelid = r.oid OR i.inhparent = r.oid) THEN 'opaque'
    WHEN r.relrowsecurity THEN 'inert'
    ELSE 'table' END
FROM relation r
UNION ALL
SELECT 'trigger', r.relname::text, '', '' FROM relation r
WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t
              WHERE t.tgrelid = r.oid AND NOT t.tgisinternal)
   OR EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite w
              WHERE w.ev_class = r.oid AND w.rulename <> '_RETURN'
                AND r.nspname <> 'pg_catalog')
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
"""

_ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def read(cursor: Any) -> Catalogue:
    """
    Read the catalogue with an open cursor.
    """
    cursor.execute(_QUERY)
    found = Findings()
    parents: list[tuple[str, str]] = []
    for what, name, other, detail in cursor.fetchall():
        if what == "child":
            parents.append((fold(name), fold(other)))
        else:
            _note(found, what, name, other, detail)
    _hand_up(found, parents)
    return found.freeze()


def _note(found: Findings, what: str, name: str, other: str, detail: str) -> None:
    folded = fold(name)
    if what == "relation":
        if detail == "table":
            found.tables.add(folded)
        else:
            found.add_opaque(folded, inert=detail == "inert")
    elif what == "trigger":
        found.triggers.add(folded)
    elif what == "calls":
        # A default such as uuid_generate_v4() is volatile and writes nothing.
        if classify(other.lower(), "postgresql") is Kind.UNKNOWN:
            found.triggers.add(folded)
    elif what == "key":
        update, delete = (_ACTIONS.get(letter, "") for letter in detail)
        found.add_foreign_key(folded, fold(other), update, delete)
    else:
        found.volatile_functions.add(name.lower())


def _hand_up(found: Findings, parents: list[tuple[str, str]]) -> None:
    # A write to a parent reaches its children's rows, and so their triggers and
    # foreign keys; through any depth.
    changed = True
    while changed:
        changed = False
        for child, parent in parents:
            if child in found.triggers and parent not in found.triggers:
                found.triggers.add(parent)
                changed = True
            effects = found.cascades.get(child, set())
            known = found.cascades.setdefault(parent, set())
            if not effects <= known:
                known |= effects
                changed = True

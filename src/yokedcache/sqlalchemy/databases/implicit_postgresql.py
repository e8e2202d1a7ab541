"""
What runs functions of PostgreSQL's users without a call, as parts of the catalogue's query.

Immutable functions are taken at their word, and what belongs to an extension is trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.sqlalchemy.databases.findings import Findings

_FIRST_OF_USERS: Final = 16384

TABLES: Final = f"""
extended AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), hidden AS (
    SELECT 'pg_catalog.pg_proc'::regclass::oid AS classid, p.oid AS objid, p.proname,
           p.provolatile
    FROM pg_catalog.pg_proc p
    WHERE p.oid >= {_FIRST_OF_USERS} AND p.provolatile <> 'i'
    UNION ALL
    SELECT 'pg_catalog.pg_operator'::regclass::oid, o.oid, p.proname, p.provolatile
    FROM pg_catalog.pg_operator o
    JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
    WHERE o.oid >= {_FIRST_OF_USERS} AND p.provolatile <> 'i'
    UNION ALL
    SELECT 'pg_catalog.pg_cast'::regclass::oid, k.oid, p.proname, p.provolatile
    FROM pg_catalog.pg_cast k
    JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc
    WHERE k.oid >= {_FIRST_OF_USERS} AND p.provolatile <> 'i'
), own AS (
    SELECT h.* FROM hidden h
    WHERE NOT EXISTS (SELECT 1 FROM extended e
                      WHERE e.classid = h.classid AND e.objid = h.objid)
), own_cast AS (
    SELECT k.castsource, k.casttarget, o.proname, o.provolatile
    FROM own o
    JOIN pg_catalog.pg_cast k ON k.oid = o.objid
    WHERE o.classid = 'pg_catalog.pg_cast'::regclass
), running (type, how, proname, provolatile) AS (
    -- types whose values run a function when they are made, or become another
    SELECT s.type, s.how, s.proname, s.provolatile
    FROM (
        SELECT coalesce(k.contypid, d.objid) AS type, 'made' AS how, o.proname,
               o.provolatile
        FROM own o
        JOIN pg_catalog.pg_depend d
            ON d.refclassid = o.classid AND d.refobjid = o.objid
        LEFT JOIN pg_catalog.pg_constraint k
            ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
        WHERE d.classid = 'pg_catalog.pg_type'::regclass OR k.contypid <> 0
        UNION ALL
        SELECT castsource, 'cast', proname, provolatile FROM own_cast
        WHERE castsource >= {_FIRST_OF_USERS}
        UNION ALL
        SELECT casttarget, 'cast', proname, provolatile FROM own_cast
        WHERE casttarget >= {_FIRST_OF_USERS}
    ) s
    UNION
    SELECT u.type, r.how, r.proname, r.provolatile
    FROM running r
    JOIN (
        SELECT typbasetype AS part, oid AS type FROM pg_catalog.pg_type
        UNION ALL
        SELECT typelem, oid FROM pg_catalog.pg_type
        UNION ALL
        SELECT rngsubtype, rngtypid FROM pg_catalog.pg_range
        UNION ALL
        SELECT a.atttypid, c.reltype
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE a.attnum > 0 AND c.reltype <> 0
        UNION ALL
        SELECT d.refobjid, k.contypid
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_depend d
            ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
        WHERE k.contypid <> 0 AND d.refclassid = 'pg_catalog.pg_type'::regclass
    ) u ON u.part = r.type
), reached AS (
    SELECT classid, objid, proname, provolatile FROM own
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass::oid, type, proname, provolatile
    FROM running WHERE how = 'made'
)
"""  # noqa: S608 - constants

ROWS: Final = f"""
UNION ALL
SELECT 'operator', p.oprname::text, o.proname::text, o.provolatile::text
FROM own o
JOIN pg_catalog.pg_operator p ON p.oid = o.objid
WHERE o.classid = 'pg_catalog.pg_operator'::regclass
UNION ALL
SELECT 'word', p.proname::text, p.proname::text, p.provolatile::text
FROM own o
JOIN pg_catalog.pg_proc p ON p.oid = o.objid
JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]
LEFT JOIN pg_catalog.pg_type base ON base.oid = t.typbasetype
WHERE o.classid = 'pg_catalog.pg_proc'::regclass
  AND p.pronargs - p.pronargdefaults <= 1
  AND (t.typtype IN ('c', 'p') OR base.typtype IN ('c', 'd') OR p.provariadic <> 0
       OR EXISTS (SELECT 1 FROM pg_catalog.pg_cast k
                  JOIN pg_catalog.pg_type s ON s.oid = k.castsource
                  WHERE k.casttarget = t.oid AND k.castcontext = 'i'
                    AND s.typtype = 'c'))
UNION ALL
SELECT CASE WHEN r.how = 'made' AND c.relkind IS DISTINCT FROM 'c' THEN 'row' ELSE 'word' END,
       t.typname::text, r.proname::text, r.provolatile::text
FROM running r
JOIN pg_catalog.pg_type t ON t.oid = r.type
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
UNION ALL
SELECT 'word', p.proname::text, r.proname::text, r.provolatile::text
FROM pg_catalog.pg_proc p
CROSS JOIN LATERAL unnest(
    p.prorettype || coalesce(p.proallargtypes, p.proargtypes::oid[])
) AS used (type)
JOIN running r ON r.type = used.type
WHERE p.oid >= {_FIRST_OF_USERS}
UNION ALL
SELECT 'word', p.proname::text, o.proname::text, o.provolatile::text
FROM own o
JOIN pg_catalog.pg_aggregate a ON o.objid IN (a.aggtransfn, a.aggfinalfn)
JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid
WHERE o.classid = 'pg_catalog.pg_proc'::regclass
UNION ALL
SELECT 'anywhere', '', proname::text, provolatile::text
FROM own_cast
WHERE castsource < {_FIRST_OF_USERS} AND casttarget < {_FIRST_OF_USERS}
UNION ALL
SELECT 'fires', r.relname::text, '', ''
FROM running u
JOIN relation r ON r.reltype = u.type
WHERE u.provolatile = 'v'
UNION ALL
SELECT 'fires', r.relname::text, '', ''
FROM reached h
JOIN pg_catalog.pg_depend d ON d.refclassid = h.classid AND d.refobjid = h.objid
LEFT JOIN pg_catalog.pg_attrdef a
    ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = d.objid
LEFT JOIN pg_catalog.pg_constraint k
    ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
JOIN relation r ON r.oid = coalesce(a.adrelid, k.conrelid)
WHERE h.provolatile = 'v' AND h.classid <> 'pg_catalog.pg_proc'::regclass
UNION ALL
SELECT 'behind', r.relname::text, h.proname::text, ''
FROM reached h
JOIN pg_catalog.pg_depend d ON d.refclassid = h.classid AND d.refobjid = h.objid
JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
JOIN relation r ON r.oid = w.ev_class
WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.relkind = 'v'
"""  # noqa: S608 - constants


def _operator(found: Findings, symbol: str, function: str, volatility: str) -> None:
    found.implicit.add_symbol(symbol, (function, volatility == "v"))


def _word(found: Findings, name: str, function: str, volatility: str) -> None:
    found.implicit.words.setdefault(name, set()).add((function, volatility == "v"))


def _row(found: Findings, name: str, function: str, volatility: str) -> None:
    found.implicit.rows.setdefault(name, set()).add((function, volatility == "v"))


def _anywhere(found: Findings, _: str, function: str, volatility: str) -> None:
    found.implicit.anywhere.add((function, volatility == "v"))


def _fires(found: Findings, table: str, _: str, __: str) -> None:
    found.add_trigger(table, None)


def _behind(found: Findings, view: str, function: str, _: str) -> None:
    found.add_opaque(view)
    found.hidden.setdefault(view, set()).add(function.lower())


NOTES: Final[dict[str, Callable[[Any, str, str, str], None]]] = {
    "operator": _operator,
    "word": _word,
    "row": _row,
    "anywhere": _anywhere,
    "fires": _fires,
    "behind": _behind,
}

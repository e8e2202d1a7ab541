"""
The analysis against the truth: what SQLite's authorizer sees a statement do.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from yokedcache.sqlalchemy.statements.text import analyse_text

SCHEMA = """
CREATE TABLE a (x, y); CREATE TABLE b (x, y); CREATE TABLE c (x UNIQUE, y);
CREATE TABLE "select" (x); CREATE TABLE "d e" (x); CREATE TABLE users (x, updated_at);
"""
VERBS = {
    sqlite3.SQLITE_INSERT: "insert",
    sqlite3.SQLITE_UPDATE: "update",
    sqlite3.SQLITE_DELETE: "delete",
}

STATEMENTS = [
    "SELECT * FROM a, b",
    "SELECT a.x, b.y FROM a LEFT JOIN b USING (x) CROSS JOIN c",
    "SELECT * FROM (a JOIN b ON a.x = b.x) JOIN c ON c.x = a.x",
    "SELECT * FROM ((SELECT x FROM a)), (SELECT y FROM (SELECT y FROM b))",
    'SELECT "x", `x`, [x] FROM "select" UNION SELECT 1, 2, x FROM [d e]',
    "SELECT 'x' FROM main.a AS b WHERE b.x NOT IN (SELECT c.x FROM c)",
    "SELECT * FROM a WHERE (x, y) IN (SELECT x, y FROM b) OR x IN [d e]",
    'SELECT * FROM a WHERE x IN "select" AND y NOT IN main.[d e]',
    "WITH [d e] AS (SELECT 1) SELECT * FROM a WHERE x IN [d e]",
    "SELECT * FROM a WHERE x = (SELECT max(x) FROM b WHERE b.y = a.y)",
    "SELECT CASE WHEN EXISTS (SELECT x FROM b) THEN (SELECT x FROM c) END FROM a",
    "SELECT sum(x) OVER (PARTITION BY (SELECT x FROM b)) FROM a",
    "SELECT x FROM a GROUP BY y HAVING max(x) > (SELECT min(x) FROM b)",
    "SELECT x FROM a ORDER BY (SELECT x FROM b) LIMIT (SELECT count(x) FROM c)",
    "WITH b AS (SELECT x FROM a) SELECT * FROM b, main.b AS z",
    "WITH b(x) AS (SELECT 1) SELECT x FROM b UNION ALL SELECT x FROM a",
    "WITH p AS (SELECT x FROM q), q AS (SELECT x FROM a) SELECT x FROM p",
    "WITH RECURSIVE p(x) AS (VALUES (1) UNION SELECT a.x FROM a, p) SELECT x FROM p",
    "SELECT x FROM a WHERE x IN (WITH q AS (SELECT x FROM b) SELECT x FROM q)",
    "SELECT x FROM a EXCEPT SELECT x FROM b INTERSECT SELECT x FROM c",
    "VALUES ((SELECT x FROM a)), ((SELECT x FROM b))",
    "SELECT updated_at FROM users -- DELETE FROM a",
    "SELECT ';', ''';' /* ; */ FROM a; ",
    "SELECT coalesce(x, (SELECT y FROM b)), x IS NOT y, x ->> '$' FROM a NOT INDEXED",
    "SELECT a.x, b.y FROM a NATURAL JOIN b, json_each(a.y) WHERE json_each.value > ?1",
    "INSERT INTO a SELECT x, y FROM b WHERE x > :x",
    "INSERT INTO a (x) VALUES ((SELECT x FROM b)), (2)",
    "INSERT INTO c (x) VALUES (1) ON CONFLICT (x) DO UPDATE SET y = (SELECT x FROM a)",
    "INSERT INTO c (x) SELECT x FROM a WHERE true ON CONFLICT DO NOTHING",
    "REPLACE INTO c SELECT x, y FROM b",
    "INSERT OR IGNORE INTO c DEFAULT VALUES",
    "WITH q AS (SELECT x FROM b) INSERT INTO a (x) SELECT x FROM q",
    "UPDATE a SET x = (SELECT x FROM b), (y) = (SELECT x FROM c) WHERE y > 1",
    "UPDATE OR REPLACE c SET y = b.y FROM b WHERE b.x = c.x",
    "WITH q AS (SELECT x FROM b) UPDATE a SET y = 1 WHERE x IN q",
    "DELETE FROM a WHERE x IN (SELECT x FROM b) OR EXISTS (SELECT x FROM c)",
    "WITH q AS (SELECT x FROM b) DELETE FROM a WHERE x IN (SELECT x FROM q)",
    "DELETE FROM main.a AS z WHERE z.x = 1 RETURNING (SELECT x FROM b)",
]


def really(sql: str) -> tuple[set[str], set[tuple[str, str]]]:
    reads: set[str] = set()
    writes: set[tuple[str, str]] = set()

    def watch(action: int, table: str | None, *_rest: str | None) -> int:
        if action == sqlite3.SQLITE_READ and table:
            reads.add(table)
        elif action in VERBS and table:
            writes.add((VERBS[action], table))
        return sqlite3.SQLITE_OK

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        connection.set_authorizer(watch)
        arguments = {"x": 1} if ":x" in sql else (1,) * sql.count("?1")
        connection.execute(sql, arguments).fetchall()
    # A table-valued function is declared as it is first used.
    return reads & TABLES, {write for write in writes if write[1] in TABLES}


TABLES = {"a", "b", "c", "select", "d e", "users"}


@pytest.mark.parametrize("sql", STATEMENTS)
def test_nothing_is_read_or_written_that_was_not_named(sql: str) -> None:
    reads, writes = really(sql)
    answer = analyse_text(sql, "sqlite")
    assert not answer.unknown_write
    written = {table for _, table in answer.writes}
    assert reads <= answer.reads | written
    assert writes <= answer.writes
    # And no more than that: a table too many is an entry lost for nothing.
    assert answer.reads <= reads | written

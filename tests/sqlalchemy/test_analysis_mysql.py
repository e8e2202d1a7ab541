"""
What MySQL's and MariaDB's own statements are taken to do.
"""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from yokedcache.sqlalchemy.statements.analysis import ANY_SCHEMA, Analysis
from yokedcache.sqlalchemy.statements.clauses import analyse_compiled
from yokedcache.sqlalchemy.statements.text import analyse_text


def analysed(sql: str) -> Analysis:
    return analyse_text(sql, "mariadb")


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        ("REPLACE LOW_PRIORITY INTO a SET x = 1", "delete:a insert:a update:a"),
        ("INSERT DELAYED INTO a VALUES (1)", "insert:a"),
        ("INSERT LOW_PRIORITY IGNORE a (x) VALUES (1)", "insert:a"),
        ("INSERT INTO a SET x = 1", "insert:a"),
        ("INSERT INTO a (x) VALUES (1) RETURNING x", "insert:a"),
        ("INSERT INTO a SELECT * FROM b ON DUPLICATE KEY UPDATE x = 1",
         "insert:a update:a"),
        ("UPDATE LOW_PRIORITY IGNORE a SET x = 1 ORDER BY y LIMIT 1", "update:a"),
        ("UPDATE a, b SET b.x = 1", "update:a update:b"),
        ("UPDATE a JOIN b USING (i) SET b.x = 1", "update:a update:b"),
        ("UPDATE a JOIN (b JOIN c ON 1) ON 1 SET c.x = 1",
         "update:a update:b update:c"),
        ("UPDATE a JOIN (SELECT * FROM c) d ON 1 SET a.x = 1", "update:a"),
        ("DELETE QUICK IGNORE FROM a", "delete:a"),
        ("DELETE a, b FROM a JOIN b ON 1", "delete:a delete:b"),
        ("DELETE FROM a, b USING a JOIN b ON 1", "delete:a delete:b"),
        ("DELETE FROM x USING a AS x JOIN b ON 1", "delete:a delete:b"),
        ("LOAD DATA LOCAL INFILE 'f' REPLACE INTO TABLE a (x, y)",
         "delete:a insert:a update:a"),
        ("LOAD XML INFILE 'f' INTO TABLE `a`", "delete:a insert:a update:a"),
        ("ANALYZE FORMAT=JSON UPDATE a SET x = 1", "update:a"),
        ("/*!50000 UPDATE a SET x = 1 */", "update:a"),
        ("UPDATE /*M!100100 a, */ b SET b.x = 1", "update:a update:b"),
        ("UPDATE a SET x = x--1, y = (SELECT 1)", "update:a"),
        ("TRUNCATE a", "delete:a"),
        ("UPDATE a SET x = %s, y = x%%s WHERE z = %(z_1)s", "update:a"),
    ],
)  # fmt: skip
def test_what_is_written(sql: str, writes: str) -> None:
    answer = analysed(sql)
    assert not answer.unknown_write
    assert not answer.context
    assert {f"{verb}:{table}" for verb, table in answer.writes} == set(writes.split())


@pytest.mark.parametrize(
    "sql",
    [
        "CALL p(1)", "EXECUTE s", "EXECUTE IMMEDIATE 'x'", "DO f()", "SET @x = f()",
        "SET @x = (SELECT f())", "SET STATEMENT max_statement_time = 1 FOR DELETE FROM a",
        "BEGIN NOT ATOMIC DELETE FROM a; END", "IF 1 THEN DELETE FROM a; END IF",
        "XA COMMIT 'x'",
        "ALTER TABLE a EXCHANGE PARTITION p WITH TABLE b; DO 1",
    ],
)  # fmt: skip
def test_what_may_write_anything_may_also_commit(sql: str) -> None:
    answer = analysed(sql)
    assert answer.unknown_write
    assert answer.transaction == "commit"


@pytest.mark.parametrize(
    ("sql", "transaction"),
    [
        ("BEGIN", "begin"), ("BEGIN WORK", "begin"), ("START TRANSACTION", "begin"),
        ("COMMIT AND CHAIN", "commit"), ("SET autocommit = 1", "commit"),
        ("SET @@session.autocommit=0", "commit"), ("LOCK TABLES a READ", "commit"),
        ("SET PASSWORD = 'x'", "commit"), ("SET PASSWORD FOR u = 'x'", "commit"),
        ("SET DEFAULT ROLE r", "commit"), ("RESET QUERY CACHE", "commit"),
        ("RESET MASTER", "commit"), ("CACHE INDEX a IN k", "commit"),
        ("LOAD INDEX INTO CACHE a", "commit"), ("CHECK TABLE a", "commit"),
        ("REPAIR TABLE a", "commit"), ("REVOKE SELECT ON a FROM u", "commit"),
        ("UNLOCK TABLES", "commit"), ("FLUSH TABLES", "commit"),
        ("ANALYZE TABLE a", "commit"), ("OPTIMIZE TABLE a", "commit"),
        ("ALTER TABLE a ADD y int", "commit"), ("GRANT SELECT ON a TO u", "commit"),
        ("CREATE INDEX i ON a (x)", "commit"), ("RENAME TABLE a TO b", "commit"),
        ("XA START 'x'", "begin"), ("XA END 'x'", None), ("XA PREPARE 'x'", "prepare"),
        ("XA ROLLBACK 'x'", "rollback"), ("ROLLBACK TO SAVEPOINT s", "savepoint"),
        ("SET @x = 1, @y := 'a'", None), ("SELECT 1", None), ("KILL 5", None),
        ("CREATE TEMPORARY TABLE a (x int)", None), ("DROP TEMPORARY TABLE a", None),
    ],
)  # fmt: skip
def test_what_begins_and_ends_transactions(sql: str, transaction: str | None) -> None:
    answer = analysed(sql)
    assert answer.transaction == transaction
    assert not answer.context


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM a FOR UPDATE", "SELECT * FROM a LOCK IN SHARE MODE",
        "SELECT * FROM a FOR SHARE SKIP LOCKED", "SELECT SQL_CALC_FOUND_ROWS x FROM a",
        "SELECT FOUND_ROWS()", "SELECT x INTO @y FROM a", "SELECT @y FROM a",
        "SELECT @y := x FROM a", "SELECT @@time_zone", "SELECT RAND() FROM a",
        "SELECT * FROM a INTO OUTFILE '/f' FIELDS TERMINATED BY ',' LINES STARTING BY 'x'",
        "SELECT x FROM a INTO DUMPFILE '/f'", "SELECT GET_LOCK('a', 1)",
        "SELECT LAST_INSERT_ID()", "SELECT UUID()", "SELECT NOW()", "SELECT f() FROM a",
        "SELECT NEXT VALUE FOR s", "SELECT NEXTVAL(s)", "SELECT LASTVAL(s)",
        "SELECT CURRENT_DATE", "SELECT UTC_TIMESTAMP", "SELECT SYSDATE()",
        "SELECT UNIX_TIMESTAMP()", "SELECT CONNECTION_ID()", "SELECT ROW_COUNT()",
    ],
)  # fmt: skip
def test_what_is_never_stored(sql: str) -> None:
    assert analysed(sql).uncacheable is not None


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT SQL_NO_CACHE x FROM a", "a"),
        ("SELECT HIGH_PRIORITY SQL_BUFFER_RESULT x FROM a STRAIGHT_JOIN b", "a b"),
        ("SELECT * FROM a PARTITION (p0) USE INDEX (i), b FORCE INDEX (i)", "a b"),
        ("SELECT x--1 FROM a", "a"),
        ("SELECT %s, x %% 2, 'a%%s' FROM a WHERE y IN (%s, %(y_1)s) LIMIT %s", "a"),
        ("SELECT 1 -- , x FROM a", ""),
        ("SELECT x # FROM b\nFROM a", "a"),
        ("SELECT 'x # y -- z' FROM a /* FROM b */", "a"),
        ("SELECT 1 /*!, x FROM a */", "a"),
        ("SELECT '/*!' , x FROM a WHERE y = '*/ '", "a"),
        ("SELECT x FROM a WHERE y = 'it''s \\' -- '", "a"),
        ("SELECT MATCH (x) AGAINST ('y' IN BOOLEAN MODE) FROM a", "a"),
        ("SELECT GROUP_CONCAT(x ORDER BY y SEPARATOR ',') FROM a", "a"),
        ("SELECT x->'$.a', JSON_EXTRACT(y, '$') FROM a", "a"),
        ("SELECT DATE_ADD(x, INTERVAL 1 DAY), CAST(y AS UNSIGNED) FROM a", "a"),
        ("SELECT ST_Distance(x, POINT(1, 2)) FROM a", "a"),
    ],
)
def test_what_is_read(sql: str, reads: str) -> None:
    answer = analysed(sql)
    assert answer.uncacheable is None
    assert answer.reads == frozenset(reads.split())


@pytest.mark.parametrize(
    ("sql", "schemas"),
    [
        ("SELECT * FROM a", ""),
        ("SELECT * FROM Other.a JOIN b ON 1", "other"),
        ("UPDATE a JOIN other.b ON 1 SET b.x = 1", "other"),
        ("DELETE FROM other.a", "other"),
        ("TRUNCATE TABLE other.a", "other"),
        ("SELECT other.f(1)", "other"),
        ("USE other", ANY_SCHEMA),
        ("SELECT * FROM __[SCHEMA__none].a", ANY_SCHEMA),
    ],
)
def test_schemas_are_noted(sql: str, schemas: str) -> None:
    assert analysed(sql).schemas == frozenset(schemas.split())


def compiled(statement: Any, **options: Any) -> Analysis:
    made = statement.compile(dialect=mysql.dialect(), **options)
    return analyse_compiled(made, "mysql")


A = sa.table("a", sa.column("x"), sa.column("y"))
B = sa.table("b", sa.column("x"), sa.column("y"), schema="other")


def test_compiled_statements_of_mysql() -> None:
    insert = mysql.insert(A).values(x=1).on_duplicate_key_update(x=2)
    assert compiled(insert).writes == {("insert", "a"), ("update", "a")}
    both = sa.update(A).where(A.c.x == B.c.x).values({A.c.y: 1, B.c.y: 2})
    assert compiled(both).writes == {("update", "a"), ("update", "b")}
    assert compiled(both).schemas == {"other"}
    share = sa.select(A).with_for_update(read=True)
    assert compiled(share).locks
    counted = sa.select(A).prefix_with("SQL_CALC_FOUND_ROWS")
    assert compiled(counted).uncacheable == "side_effect"
    hinted = sa.select(A).with_hint(A, "USE INDEX (i)")
    assert compiled(hinted).uncacheable is None
    assert compiled(sa.select(A), schema_translate_map={None: "t"}).schemas == {"?"}

"""
What a string of SQL reads, writes and does.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yokedcache.sqlalchemy.statements.analysis import HARMLESS, UNKNOWN
from yokedcache.sqlalchemy.statements.text import analyse_text

ANY = "postgresql", "sqlite", "mysql"


@pytest.mark.parametrize("dialect", ANY)
@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1", ""),
        ("SELECT * FROM a", "a"),
        ("SELECT * FROM s.A JOIN b ON A.x = b.x, c", "a b c"),
        (
            "SELECT (SELECT max(x) FROM a) FROM b WHERE EXISTS (SELECT 1 FROM c)",
            "a b c",
        ),
        ("SELECT * FROM a UNION ALL SELECT * FROM b", "a b"),
        ("SELECT * FROM (SELECT * FROM a) q ORDER BY (SELECT x FROM b)", "a b"),
        ("WITH q AS (SELECT * FROM a) SELECT * FROM q JOIN b ON true", "a b"),
        (
            "WITH RECURSIVE q AS (SELECT 1 UNION SELECT x FROM q, a) SELECT * FROM q",
            "a",
        ),
        ("SELECT 'from b; delete from c' FROM a -- from d", "a"),
        ("/* x */ -- y\n SELECT a.updated_at, deleted_at FROM a;", "a"),
        ("SELECT * FROM a WHERE x = :x", "a"),
        ("SELECT * FROM a WHERE x IN (__[POSTCOMPILE_x_1])", "a"),
    ],
)
def test_reads_every_table(sql: str, tables: str, dialect: str) -> None:
    answer = analyse_text(sql, dialect)
    assert (answer.reads, answer.uncacheable) == (frozenset(tables.split()), None)
    assert not answer.writes
    assert not answer.unknown_write


@pytest.mark.parametrize(
    ("sql", "dialect"),
    [
        (
            "SELECT * FROM t WHERE a = %(a)s AND b %% 2 = %s AND c LIKE 'x%%'",
            "postgresql",
        ),
        ("SELECT * FROM t WHERE a = $1::VARCHAR AND b = $2", "postgresql"),
        ("SELECT * FROM t WHERE a = ? AND b = ?2 AND c = @c AND d = $d", "sqlite"),
        ('SELECT * FROM "__[SCHEMA_x]".t', "postgresql"),
        ("SELECT * FROM [t] WHERE `a` IS b", "sqlite"),
        ("SELECT E'a\\'; DELETE FROM x' FROM t", "postgresql"),
        ("SELECT $q$; DELETE FROM x$q$ FROM t", "postgresql"),
        ("SELECT 'a\\'; DELETE FROM x' FROM t", "mysql"),
        ("SELECT * FROM ONLY t, unnest(t.a) WITH ORDINALITY x", "postgresql"),
        ("SELECT * FROM t, json_each(t.a) j", "sqlite"),
        ("SELECT * FROM t INDEXED BY i", "sqlite"),
    ],
)
def test_reads_what_drivers_and_dialects_write(sql: str, dialect: str) -> None:
    answer = analyse_text(sql, dialect)
    assert (answer.reads, answer.uncacheable) == (frozenset({"t"}), None)


def test_a_cte_hides_a_table_only_where_it_is_in_sight() -> None:
    sql = "WITH users AS (SELECT * FROM users) SELECT * FROM users"
    assert analyse_text(sql, "postgresql").reads == {"users"}
    sql = "WITH q AS (SELECT 1) SELECT * FROM q, public.q"
    assert analyse_text(sql, "postgresql").reads == {"q"}
    sql = "SELECT * FROM (WITH q AS (SELECT 1) SELECT * FROM q) x, q"
    assert analyse_text(sql, "postgresql").reads == {"q"}


def test_system_and_temporary_tables_are_no_tables_of_the_app() -> None:
    sql = "SELECT * FROM information_schema.tables"
    assert analyse_text(sql, "postgresql").reads == {"information_schema.tables"}
    answer = analyse_text("SELECT * FROM temp.users", "sqlite")
    assert answer.reads == {"temp.users"}
    assert (answer.temporary, answer.uncacheable) == (True, "temporary")


@pytest.mark.parametrize(
    ("sql", "dialect", "writes", "reads"),
    [
        ("INSERT INTO a (x) SELECT x FROM b", "sqlite", "insert:a", "b"),
        ("INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING", "sqlite", "insert:a", ""),
        (
            "INSERT INTO a VALUES (1) ON CONFLICT (x) DO UPDATE SET x = 1",
            "postgresql",
            "insert:a update:a",
            "",
        ),
        (
            "INSERT INTO a VALUES (1) ON DUPLICATE KEY UPDATE x = 1",
            "mysql",
            "insert:a update:a",
            "",
        ),
        ("REPLACE INTO a VALUES (1)", "sqlite", "insert:a update:a delete:a", ""),
        ("REPLACE INTO a VALUES (1)", "mysql", "insert:a update:a delete:a", ""),
        (
            "INSERT OR REPLACE INTO a VALUES (1)",
            "sqlite",
            "insert:a update:a delete:a",
            "",
        ),
        ("INSERT OR IGNORE INTO a VALUES (1)", "sqlite", "insert:a", ""),
        ("UPDATE OR IGNORE a SET x = 1", "sqlite", "update:a", "a"),
        ("-- why\nUPDATE a SET x = 1 FROM b", "postgresql", "update:a", "a b"),
        ("UPDATE a, b SET a.x = 1, b.y = 2", "mysql", "update:a update:b", "a b"),
        ("DELETE FROM a USING b WHERE a.x = b.x", "postgresql", "delete:a", "a b"),
        (
            "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE",
            "postgresql",
            "insert:a update:a delete:a",
            "a b",
        ),
        (
            "WITH q AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM q",
            "postgresql",
            "delete:a insert:b",
            "a",
        ),
        (
            "WITH q AS (INSERT INTO a VALUES (1) RETURNING *) SELECT * FROM q, c",
            "postgresql",
            "insert:a",
            "c",
        ),
        ("EXPLAIN ANALYZE DELETE FROM a", "postgresql", "delete:a", "a"),
        ("EXPLAIN (ANALYZE, BUFFERS) UPDATE a SET x=1", "postgresql", "update:a", "a"),
        ("COPY s.a (x) FROM STDIN", "postgresql", "insert:a", ""),
        (
            "COPY (DELETE FROM a RETURNING *) TO STDOUT",
            "postgresql",
            "delete:a",
            "a",
        ),
        ('TRUNCATE TABLE ONLY "A", s.b', "postgresql", "delete:a delete:b", ""),
        (
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "postgresql",
            "insert:v delete:v",
            "",
        ),
        ("INSERT INTO a VALUES (1); DELETE FROM b", "sqlite", "insert:a delete:b", "b"),
    ],
)
def test_names_every_write(sql: str, dialect: str, writes: str, reads: str) -> None:
    answer = analyse_text(sql, dialect)
    named = {
        (verb, table) for verb, _, table in (w.partition(":") for w in writes.split())
    }
    assert answer.writes == named
    assert answer.reads == frozenset(reads.split())
    assert answer.uncacheable is not None
    assert not answer.unknown_write


@pytest.mark.parametrize(
    ("sql", "dialect"),
    [
        ("DO $$ BEGIN DELETE FROM a; END $$", "postgresql"),
        ("CALL f()", "postgresql"),
        ("EXECUTE p", "postgresql"),
        ("SELECT dblink_exec('x')", "postgresql"),
        ("TRUNCATE a CASCADE", "postgresql"),
        ("COMMIT PREPARED 'x'", "postgresql"),
        ("UPDATE a SET x = (", "sqlite"),
        ("frobnicate", "sqlite"),
        ("", "oracle"),
        ("LOAD DATA INFILE 'x' INTO TABLE a SET x = f()", "mysql"),
        ("SELECT 1; frobnicate", "sqlite"),
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM u; END;", "sqlite"),
        ("ALTER TABLE a RENAME TO b", "sqlite"),
        ("CREATE TABLE a AS EXECUTE p", "postgresql"),
    ],
)
def test_what_may_write_anything_is_unknown(sql: str, dialect: str) -> None:
    assert analyse_text(sql, dialect).unknown_write


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("BEGIN IMMEDIATE", "begin"),
        ("START TRANSACTION READ ONLY", "begin"),
        ("commit", "commit"),
        ("END", "commit"),
        ("COMMIT AND CHAIN", "commit"),
        ("ROLLBACK", "rollback"),
        ("ABORT", "rollback"),
        ("ROLLBACK TO SAVEPOINT a", "savepoint"),
        ("ROLLBACK WORK TO a", "savepoint"),
        ("SAVEPOINT a", "savepoint"),
        ("RELEASE SAVEPOINT a", "release"),
        ("PREPARE TRANSACTION 'x'", "prepare"),
        ("INSERT INTO a VALUES (1); COMMIT; BEGIN", "commit"),
        ("SELECT 'commit'", None),
        ("PREPARE p AS SELECT 1", None),
    ],
)
def test_text_that_steers_transactions(sql: str, kind: str | None) -> None:
    assert analyse_text(sql, "postgresql").transaction == kind


@pytest.mark.parametrize(
    ("sql", "dialect", "context"),
    [
        ("SET ROLE x", "postgresql", True),
        ("set search_path to x", "postgresql", True),
        ("RESET ALL", "postgresql", True),
        ("SET CONSTRAINTS ALL DEFERRED", "postgresql", False),
        ("SELECT set_config('a', 'b', false)", "postgresql", True),
        ("LISTEN x", "postgresql", True),
        ("SHOW search_path", "postgresql", False),
        ("USE x", "mysql", True),
        ("SELECT @a := 1", "mysql", False),
        ("ATTACH 'x' AS y", "sqlite", True),
        ("DETACH y", "sqlite", True),
        ("PRAGMA foreign_keys=ON", "sqlite", False),
        ("PRAGMA main.table_info('x')", "sqlite", False),
        ("PRAGMA case_sensitive_like=ON", "sqlite", True),
        ("PRAGMA read_uncommitted(1)", "sqlite", True),
        ("PRAGMA query_only", "sqlite", False),
    ],
)
def test_settings_make_a_context(sql: str, dialect: str, context: bool) -> None:
    answer = analyse_text(sql, dialect)
    assert answer.context is context
    assert answer.uncacheable is not None
    assert not answer.unknown_write


@pytest.mark.parametrize(
    ("sql", "dialect", "reason"),
    [
        ("SELECT now()", "postgresql", "volatile_function:now"),
        ("SELECT CURRENT_DATE", "sqlite", "volatile_function:currentdate"),
        ("SELECT user FROM a", "postgresql", "volatile_function:user"),
        ("SELECT * FROM a WHERE x > 'today'", "postgresql", "volatile_function:now"),
        ("SELECT age(x) FROM a", "postgresql", "volatile_function:age"),
        ("SELECT date('now', '+1 day')", "sqlite", "volatile_function:date"),
        ("SELECT datetime()", "sqlite", "volatile_function:datetime"),
        ("SELECT strftime('%s')", "sqlite", "volatile_function:strftime"),
        ("SELECT julianday(?)", "sqlite", "volatile_function:julianday"),
        ("SELECT * FROM a ORDER BY random()", "sqlite", "volatile_function:random"),
        ("SELECT frob(x) FROM a", "sqlite", "unknown_function:frob"),
        ("SELECT s.lower(x) FROM a", "postgresql", "unknown_function:lower"),
        ("SELECT * FROM frob(1)", "postgresql", "unknown_function:frob"),
        ("SELECT * FROM a FOR SHARE", "postgresql", "for_update"),
        ("SELECT pg_advisory_lock(1)", "postgresql", "side_effect"),
        (
            "SELECT * FROM a TABLESAMPLE system(1)",
            "postgresql",
            "volatile_function:tablesample",
        ),
        ("EXPLAIN SELECT 1", "sqlite", "not_a_select"),
        ("SELECT 1; SELECT 2", "sqlite", "not_a_select"),
    ],
)
def test_answers_that_may_not_be_stored(sql: str, dialect: str, reason: str) -> None:
    answer = analyse_text(sql, dialect)
    assert answer.uncacheable == reason
    assert not answer.unknown_write


@pytest.mark.parametrize(
    ("sql", "dialect"),
    [
        ("SELECT date('2024-01-01'), date(x), strftime('%Y', x) FROM a", "sqlite"),
        ("SELECT pg_catalog.lower(x), age(x, y), date(x) FROM a", "postgresql"),
        ("SELECT user, now FROM a", "sqlite"),
        (
            "SELECT trim(both ' ' from x), extract(year from y), x::int FROM a",
            "postgresql",
        ),
        (
            "SELECT ARRAY(SELECT 1), x = ANY('{}'), x ->> 'a', x ? 'b' FROM a",
            "postgresql",
        ),
        ("SELECT string_agg(x, ',' ORDER BY y) FILTER (WHERE z) FROM a", "postgresql"),
    ],
)
def test_harmless_calls_are_cacheable(sql: str, dialect: str) -> None:
    answer = analyse_text(sql, dialect)
    assert (answer.uncacheable, answer.reads) == (None, {"a"})


def test_locks_are_told() -> None:
    for sql in (
        "LOCK TABLE a",
        "SELECT 1 FROM a FOR UPDATE OF q",
        "SELECT pg_advisory_xact_lock(1)",
    ):
        assert analyse_text(sql, "postgresql").locks
    assert analyse_text("SELECT 1 FROM a x FOR UPDATE OF x", "postgresql").reads == {
        "a"
    }


def test_ddl_changes_the_tables_that_it_names() -> None:
    answer = analyse_text("DROP TABLE IF EXISTS a, s.b CASCADE", "postgresql")
    assert answer.ddl
    assert {table for _, table in answer.writes} == {"a", "b"}
    assert not answer.unknown_write
    answer = analyse_text("CREATE TEMP TABLE a AS SELECT frob(x) FROM b", "postgresql")
    assert (answer.ddl, answer.temporary, answer.reads) == (True, True, {"b"})
    assert answer.functions == {"frob"}
    assert not analyse_text("CREATE INDEX i ON a (x)", "sqlite").writes
    assert analyse_text("DROP TABLE a", "mysql").transaction == "commit"


def test_footgun_52_keyword_in_a_name() -> None:
    answer = analyse_text('SELECT updated_at, "delete" FROM inserts', "postgresql")
    assert (answer.writes, answer.reads) == (frozenset(), {"inserts"})
    assert answer.uncacheable is None


@given(st.text(max_size=60), st.sampled_from(ANY))
@example("SELECT 1 FROM (", "postgresql")
@example("COPY", "postgresql")
@example("PRAGMA", "sqlite")
@example("RELEASE", "mysql")
def test_any_text_has_an_answer_and_none_passes_as_cacheable(
    sql: str, dialect: str
) -> None:
    answer = analyse_text("x" + sql, dialect)
    assert answer.uncacheable is not None


@given(
    st.lists(
        st.sampled_from(
            ["SELECT * FROM a", "DELETE FROM b", "COMMIT", "SELECT ';' FROM c", "-- d;"]
        ),
        min_size=1,
    )
)
def test_several_statements_are_the_union_of_each(parts: list[str]) -> None:
    merged = analyse_text(";\n".join(parts), "postgresql")
    each = [analyse_text(part, "postgresql") for part in parts]
    assert merged.reads == frozenset().union(*(one.reads for one in each))
    assert merged.writes == frozenset().union(*(one.writes for one in each))
    assert (merged.transaction == "commit") == ("COMMIT" in parts)


def test_nothing_is_harmless() -> None:
    assert analyse_text(" ; -- nothing", "sqlite") == HARMLESS


def test_without_the_parser_every_query_is_unknown() -> None:
    code = (
        "import sys; sys.modules['sqlglot'] = None\n"
        "from yokedcache.sqlalchemy.statements.text import analyse_text, UNKNOWN\n"
        "assert analyse_text('SELECT 1', 'sqlite') == UNKNOWN\n"
        "assert analyse_text('COMMIT', 'sqlite').transaction == 'commit'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=_environment())


def test_the_parser_is_imported_when_first_used() -> None:
    code = (
        "import sys\n"
        "from yokedcache.sqlalchemy.statements.text import analyse_text\n"
        "analyse_text('PRAGMA foreign_keys=ON', 'sqlite')\n"
        "assert 'sqlglot' not in sys.modules\n"
        "analyse_text('SELECT 1', 'sqlite')\n"
        "assert 'sqlglot' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=_environment())


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(sys.path)}


def test_unknown_is_the_worst_answer() -> None:
    assert UNKNOWN.unknown_write
    assert UNKNOWN.context
    assert UNKNOWN.uncacheable == "unparsable"

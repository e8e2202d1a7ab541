"""
What means the present moment without saying so plainly.

A clock of SQLite's that is handed 'now' by a detour, and text that PostgreSQL reads
as a time. Values decide where they are bound: the statement is the same for all.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg, psycopg, psycopg2
from sqlalchemy.orm import Mapped, mapped_column

from yokedcache.sqlalchemy.statements.clauses import analyse_compiled
from yokedcache.sqlalchemy.statements.present import names_present
from yokedcache.sqlalchemy.statements.text import analyse_text
from yokedcache.sqlalchemy.statements.text_pieces import Pieces

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

F = "%Y-%m-%d %H:%M:%f"
THEN = datetime(2024, 1, 1, tzinfo=UTC)
POSTGRESQL = [psycopg.dialect(), psycopg2.dialect(), asyncpg.dialect()]


class Base(orm.DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    tags: Mapped[str] = mapped_column(sa.ARRAY(sa.String))
    at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))


def refusal(statement: Any, dialect: Dialect, values: Any = None) -> str | None:
    compiled: Any = statement.compile(dialect=dialect)
    answer = analyse_compiled(compiled, dialect.name)
    parameters = compiled.params | (values or {})
    if compiled.positional:
        parameters = tuple(parameters[name] for name in compiled.positiontup)
    if answer.uncacheable is not None:
        return answer.uncacheable
    present = names_present(answer, parameters, dialect.name, compiled)
    return "now" if present else None


@pytest.mark.parametrize(
    "call",
    [
        'julianday("now")', "julianday([now])", "julianday(`NOW`)", "date(('now'))",
        f"strftime('{F}', (('now')))", f"strftime('{F}', coalesce(NULL, 'now'))",
        "time(CAST('now' AS TEXT))", "time(CASE WHEN 1 THEN 'now' END)",
        "time(iif(1, 'NOW', x))", "date(lower('NOW'))", "time(trim(' now '))",
        "datetime('n' || 'ow')", "datetime(substr('know', 2))", "date(char(110))",
        "datetime(replace('nXow', 'X', ''))", "date(printf('%s%s', 'n', 'ow'))",
        "datetime(max(x, 'now'))", "julianday(?)", "julianday(coalesce(?, x))",
        "julianday((SELECT 'now'))", "date()", "time()", "datetime()", "julianday()",
        "strftime('%s')", "unixepoch()", "unixepoch('subsec')", "timediff('now', x)",
        "date(date('now'))", "date(x'6e6f77')", "date(CAST(x'6e6f77' AS TEXT))",
        """date('["now"]' ->> 0)""", 'date("n" || "ow")', "date(json_extract('{\"a\": \"now\"}', '$.a'))",
    ],
)  # fmt: skip
def test_sqlite_is_handed_the_present(call: str) -> None:
    answer = analyse_text(f"SELECT x, {call} FROM a", "sqlite")
    assert str(answer.uncacheable).startswith("volatile_function:")


@pytest.mark.parametrize(
    "query",
    [
        "WITH t(y) AS (VALUES ('now')) SELECT julianday(y) FROM t, a",
        "SELECT julianday(y) FROM (SELECT 'now' AS y FROM a)",
        "WITH t(y) AS (SELECT 'n' || 'ow') SELECT julianday(y) FROM t, a",
        "SELECT date(y) FROM (SELECT substr('know', 2) AS y FROM a)",
    ],
)
def test_sqlite_is_handed_the_present_by_name(query: str) -> None:
    answer = analyse_text(query, "sqlite")
    assert str(answer.uncacheable).startswith("volatile_function:")


@pytest.mark.parametrize(
    "call",
    [
        "date(x)", "strftime('%Y', x)", "strftime('%Y-%m', a.x, '-1 day')",
        "date('2024-01-01', '+1 day')", 'date("x")', 'julianday(a."now")', "date(now)",
        "date(max(x))", "date(coalesce(x, y))", "date(x || ' 10:00')",
        "date(y) AS day, upper(n) || ?", 'date(substr("t"."known_window", 1, 10))',
        'date("q"."c") FROM (SELECT "t"."c" AS "c", "t"."now_w" || "t"."b" AS "n" FROM "t") "q" UNION SELECT x',
        "date(json_extract(x, '$.known_on'))", "date(x ->> '$.now')", "date(value), json_each(?)",
        "date(strftime('%Y-01-01', x))", "'now'", "lower('Now')", "date(substr(x, 1, 10))",
    ],
)  # fmt: skip
def test_sqlite_reads_other_times(call: str) -> None:
    answer = analyse_text(f"SELECT {call} FROM a", "sqlite")
    assert answer.uncacheable is None


COMPOSED = sa.select((sa.literal("n") + sa.literal("ow")).label("x"))
OF_UNION = sa.union_all(sa.select(sa.literal("x").label("x")), COMPOSED).subquery()
OF_VALUES = sa.values(sa.column("x", sa.String), name="v").data([("n",), ("ow",)])
SQLITE: dict[str, Any] = {
    "coalesce": sa.func.strftime(F, sa.func.coalesce(None, "now")),
    "lower": sa.func.strftime(F, sa.func.lower("NOW")),
    "cast": sa.func.strftime(F, sa.cast("now", sa.String)),
    "case": sa.func.strftime(F, sa.case((Event.id > 0, "now"), else_="x")),
    "subquery": sa.func.date(sa.select(sa.literal("now")).scalar_subquery()),
    "derived": sa.func.date(sa.select(sa.literal("now").label("x")).subquery().c.x),
    "concat": sa.func.date(sa.literal("n") + sa.literal("ow")),
    "substr": sa.func.date(sa.func.substr("know", 2)),
    "char": sa.func.date(sa.func.char(110, 111, 119)),
    "concat in a query": sa.func.date(COMPOSED.subquery().c.x),
    "concat in a cte": sa.func.date(COMPOSED.cte().c.x),
    "literal column": sa.func.julianday(sa.literal_column('"now"')),
    "column": sa.func.julianday(sa.column("NOW")),
    "plain": sa.func.date("now"),
    "nothing": sa.func.datetime(),
}


@pytest.mark.parametrize("name", SQLITE)
def test_sqlite_is_handed_the_present_by_a_clause(name: str) -> None:
    assert refusal(sa.select(Event.id, SQLITE[name]), sqlite.dialect()) is not None


@pytest.mark.parametrize(
    "clause",
    [
        sa.func.date(Event.at), sa.func.strftime("%Y", Event.at),
        sa.func.date(sa.func.max(Event.at)), sa.func.coalesce(Event.name, "now"),
        sa.func.date(sa.func.coalesce(Event.at, Event.name)),
        sa.func.date(sa.func.strftime("%Y-01-01", Event.at)),
        sa.func.date(sa.case((Event.name == "x", Event.at), else_=Event.name)),
        sa.func.date(sa.column("now")), Event.at > THEN.replace(tzinfo=None),
    ],
)  # fmt: skip
def test_sqlite_reads_other_times_by_a_clause(clause: Any) -> None:
    assert refusal(sa.select(Event.id, clause), sqlite.dialect()) is None


@pytest.mark.parametrize(
    "call",
    [
        "'now'::timestamptz", "' Now '::date", "$$now$$::timestamptz", "$a$now$a$::date",
        r"E'n\x6fw'::timestamptz", r"E'n\157w'::date", r"U&'n\006fw'::timestamptz",
        "x > U&'n!006fw' UESCAPE '!'", "'n'\n'ow'::date", "x > 'n'\n'ow'",
        "'{now}'::timestamptz[]", "'[now,)'::tstzrange", "'[2020-01-01, now)'::daterange",
        "'10:00 today'::timestamptz", "'today10:00'::timestamptz", "'(now)'::date",
        "timestamp 'now'", "x > 'tomorrow'", "x < ', yesterday'", "date('now')",
        "('n' || 'ow')::timestamptz", "CAST(concat('n', 'ow') AS date)",
        "timestamptz('n' || 'ow')", "(substr('know', 2)::text)::date",
        "substring('know' from 2)::date", "chr(110)::date", "reverse('won')::date",
        "(:a || :b)::date", "('n' || 'ow')::timestamptz[]", "('n' || 'ow')::my_domain",
        "(SELECT string_agg('n', 'ow') FROM a)::date", "replace('nXow', 'X', '')::date",
        "lower(daterange('[n' || 'ow,]'))", "CAST('nowhere'::varchar(3) AS timestamptz)",
        "('n' OPERATOR(pg_catalog.||) 'ow')::date", "(string_to_array('know', 'k'))[2]::date",
        "(regexp_match('know', 'n.w'))[1]::date", "'{n\\ow}'::date[]", "'[n\"o\"w,]'::daterange",
        r"""('{"d": "\u006eow"}'::jsonb ->> 'd')::date""", "normalize('\uff4e\uff4f\uff57', NFKC)::date",
        "date_trunc('day', ('n' || 'ow')::timestamptz)", "initcap('toda' || 'y')::date",
    ],
)  # fmt: skip
def test_postgresql_reads_the_present(call: str) -> None:
    answer = analyse_text(f"SELECT {call} FROM a", "postgresql")
    assert str(answer.uncacheable).startswith("volatile_function:")


@pytest.mark.parametrize(
    "query",
    [
        "WITH t AS (SELECT 'n' || 'ow' AS y) SELECT y::timestamptz FROM t",
        "WITH t(y) AS (SELECT 'n' || 'ow') SELECT t.y::timestamptz FROM t",
        "WITH t AS (SELECT 'n' AS x, 'ow' AS y) SELECT CAST(x || y AS date) FROM t",
        "WITH t AS (SELECT concat('n', 'ow') AS y), u AS (TABLE t) SELECT date(y) FROM u",
        "WITH t AS (SELECT 'n' AS y), u AS (SELECT y || 'ow' AS z FROM t) SELECT z::date FROM u",
        "WITH RECURSIVE t(y) AS (SELECT 'n' UNION TABLE t) SELECT (y || 'ow')::date FROM t",
        "SELECT y::date FROM (SELECT chr(110) AS y) t",
        "SELECT concat::date FROM (SELECT concat('n', 'ow')) t",
        'SELECT "?column?"::date FROM (SELECT \'n\' || \'ow\') t',
        "SELECT v.y::date FROM (VALUES ('n' || 'ow')) AS v(y)",
        "SELECT y::date FROM unnest(ARRAY['n' || 'ow']) AS y",
        "SELECT unnest::date FROM unnest(ARRAY['n' || 'ow'])",
        "SELECT y::date FROM a, LATERAL (SELECT 'n' || 'ow' AS y) l",
        "SELECT d FROM jsonb_to_record(concat('{\"d\": \"n', 'ow\"}')::jsonb) AS r(d date)",
        "SELECT 1 FROM (SELECT :x || :y AS z) t WHERE z::date > '2024-01-01'",
        "SELECT y::date FROM (SELECT '2020-01-01' AS y UNION SELECT 'n' || 'ow' AS z) t",
        "SELECT column1::date FROM (VALUES ('n' || 'ow')) AS v",
        "WITH t AS (SELECT 'n' || 'ow' AS y) SELECT (SELECT * FROM t)::date",
        "WITH t AS (SELECT 'n' || 'ow' AS y) SELECT (TABLE t)::date",
        "SELECT value::date FROM a, LATERAL json_each_text(json_build_array('n' || 'ow'))",
        "SELECT y::date FROM string_to_table('know', 'k') y",
    ],
)  # fmt: skip
def test_postgresql_reads_the_present_by_name(query: str) -> None:
    answer = analyse_text(query, "postgresql")
    assert str(answer.uncacheable).startswith("volatile_function:")


@pytest.mark.parametrize(
    "query",
    [
        "WITH t AS (SELECT name || ' from town' AS y, x FROM a) SELECT y, x::date FROM t",
        "SELECT t.y::date FROM (SELECT left(x, 10) AS y FROM a) t",
        "SELECT y::text FROM (SELECT 'n' || 'ow' AS y) t",
        "SELECT x::date FROM a WHERE name IN (SELECT lower(name) FROM b)",
        "SELECT x::date FROM a WHERE name IN (SELECT coalesce(lower(name), 'unknown') FROM b)",
        "SELECT x::date FROM a WHERE name = ANY (SELECT concat(:p, name) FROM b)",
        "SELECT e.v <=> q::vector FROM e, (SELECT concat('[', :v, ']') AS q) p",
        "SELECT first || ' of the town', x::date FROM a UNION SELECT 'n' || 'ow', x::date FROM b",
        "SELECT x::date AS x, first || ' of the town' AS name FROM a",
        "WITH t AS (SELECT lower(name) AS n, x AS d FROM a WHERE id = :id) SELECT n, d::date FROM t",
        "SELECT (p ->> 'known_on')::date, d::date FROM a, jsonb_array_elements_text(p -> 'known') d",
        "SELECT q.d::date, q.n || ' won' FROM (SELECT date_trunc('day', c) AS d, n FROM t) q",
        "SELECT q.d::date, q.n || :s FROM (SELECT c AS d, n FROM t) q",
        "SELECT d::date, k.n || :n FROM generate_series(:a, :b, '1 day') AS d JOIN k ON k.d = d",
        "SELECT v.d::date, n || ' x' FROM (VALUES ('2024-01-01', 'won')) AS v(d, s) JOIN t ON true",
        "SELECT encode(sha256(x), 'hex') AS h, (SELECT max(c) FROM u)::date FROM t",
        "SELECT (CASE WHEN name = 'known' THEN x ELSE y END)::date FROM a",
    ],
)  # fmt: skip
def test_postgresql_reads_other_times_by_name(query: str) -> None:
    assert analyse_text(query, "postgresql").uncacheable is None


@pytest.mark.parametrize(
    "call",
    [
        "x::date", "x::timestamptz[]", "'2024-01-01'::date", "'epoch'::timestamptz",
        "'infinity'::date", "date_trunc('month', x)::date", "max(x)::date",
        "(x AT TIME ZONE 'America/New_York')::date", "(y || '-01-01')::date",
        "(d || 'T' || t || ' UTC')::timestamptz", "coalesce(x, y)::date",
        "to_char(x, 'YYYY-MM-DD')::date", "left(x, 10)::date", "(p ->> 'at')::timestamptz",
        "('n' || 'ow')::text", "('n' || x)::varchar", "date(x)", "x + '1 day'::interval",
        "'known'", "'snow'", "y ILIKE '%now%'",
        "name || ' from town', x::date", "x > :x", "CAST(:x AS timestamptz)",
    ],
)  # fmt: skip
def test_postgresql_reads_other_times(call: str) -> None:
    answer = analyse_text(f"SELECT {call} FROM a", "postgresql")
    assert answer.uncacheable is None


def past(value: Any) -> Any:
    return sa.cast(sa.literal(value, sa.String), sa.DateTime)


VALUES: dict[str, tuple[Any, bool]] = {
    "cast": (sa.select(past("now")), True),
    "cast of another": (sa.select(past("2024-01-01")), False),
    "coalesce": (sa.select(sa.cast(sa.func.coalesce(None, "now"), sa.DateTime)), True),
    "lower": (sa.select(sa.cast(sa.func.lower("NOW"), sa.DateTime)), True),
    "concat": (sa.select(sa.cast(sa.literal("n") + sa.literal("ow"), sa.Date)), True),
    "char": (sa.select(sa.cast(sa.func.chr(110), sa.Date)), True),
    "concat in a query": (sa.select(sa.cast(COMPOSED.subquery().c.x, sa.Date)), True),
    "concat in a cte": (sa.select(sa.func.date(COMPOSED.cte().c.x)), True),
    "concat of values": (sa.select(sa.cast(sa.func.string_agg(OF_VALUES.c.x, ""), sa.Date)), True),
    "concat in a union": (sa.select(sa.cast(OF_UNION.c.x, sa.Date)), True),
    "cut": (sa.select(sa.cast(sa.cast("nowhere", sa.String(3)), sa.Date)), True),
    "range": (sa.select(sa.func.tstzrange(sa.literal("[n") + "ow,]")), True),
    "own operator": (sa.select(sa.cast(sa.literal("n").op("||")("ow"), sa.Date)), True),
    "concat and a cast": (sa.select(sa.cast(Event.at, sa.Date), Event.name + " from town"), False),
    "own operator of json": (sa.select(sa.cast(Event.name.op("->>")("at"), sa.Date)), False),
    "text cast": (sa.text("SELECT CAST(:x AS timestamptz)").bindparams(x="now"), True),
    "text": (sa.text("SELECT id FROM events WHERE at < :x").bindparams(x="Today"), True),
    "text of another": (sa.text("SELECT id FROM events WHERE at < :x").bindparams(x=THEN), False),
    "text of a word": (sa.text("SELECT id FROM events WHERE at < :x").bindparams(x="epoch"), False),
    "column": (sa.select(Event.id).where(Event.at < "now"), True),
    "column and a date": (sa.select(Event.id).where(Event.at < THEN), False),
    "in": (sa.select(Event.id).where(Event.at.in_(["now"])), True),
    "range of now": (sa.select(sa.func.tstzrange("now", None)), True),
    "array": (sa.select(sa.cast(["now"], sa.ARRAY(sa.DateTime))), True),
    "function": (sa.select(sa.func.timestamptz("10:00 today")), True),
    "name": (sa.select(Event.id).where(Event.name == "now"), False),
    "name and a date": (sa.select(Event.id).where(Event.name == "now", Event.at > THEN), False),
    "names": (sa.select(Event.id).where(Event.name.in_(["today"]), Event.id == 1), False),
    "name in a cast": (sa.select(sa.cast(sa.case((Event.id > 1, "now"), else_="x"), sa.Date)), True),
    "like": (sa.select(Event.id).where(Event.name.ilike("%now%")), False),
    "search": (sa.select(Event.id).where(Event.name.match("buy now")), False),
    "lower name": (sa.select(Event.id).where(sa.func.lower(Event.name) == "now"), False),
    "cast of a column": (sa.select(sa.cast(Event.at, sa.Date), Event.name == "now"), False),
    "truncated": (sa.select(sa.func.date_trunc("day", Event.at)), False),
}  # fmt: skip
"""Statements, and whether PostgreSQL takes what is bound for the present."""


@pytest.mark.parametrize("dialect", POSTGRESQL, ids=lambda dialect: dialect.driver)
@pytest.mark.parametrize("name", VALUES)
def test_postgresql_is_bound_the_present(name: str, dialect: Dialect) -> None:
    statement, present = VALUES[name]
    assert (refusal(statement, dialect) is not None) is present


@pytest.mark.parametrize("dialect", POSTGRESQL, ids=lambda dialect: dialect.driver)
def test_the_first_value_of_a_shape_decides_nothing(dialect: Dialect) -> None:
    for first, second in (("2024-01-01", "now"), ("now", "2024-01-01")):
        compiled: Any = sa.select(past(first)).compile(dialect=dialect)
        answer = analyse_compiled(compiled, dialect.name)
        assert answer.uncacheable is None
        for value in (first, second):
            parameters = (value,) if compiled.positional else {"param_1": value}
            said = names_present(answer, parameters, dialect.name)
            assert said is (value == "now")


@pytest.mark.parametrize(
    ("value", "present"),
    [
        ("now", True), ("now ", True), (" NOW", True), ("today 10:00", True),
        ("10:00 today", True), ("today10:00", True), ("[now,)", True), ("{now}", True),
        (["now"], True), ({"a": "now"}, True), ("yesterday", True), (("x", "now"), True),
        ("now()", True), ("epoch", False), ("infinity", False), ("2024-01-01", False),
        ("known", False), ("snow", False), ("", False), (None, False), (1, False),
        (THEN, False), (b"now", False),
    ],
)  # fmt: skip
def test_values_that_mean_the_present(value: Any, present: bool) -> None:
    answer = analyse_text("SELECT CAST(:x AS timestamptz)", "postgresql")
    assert names_present(answer, {"x": value}, "postgresql") is present
    assert names_present(answer, (value,), "postgresql") is present
    assert not names_present(answer, {}, "postgresql")


def test_json_of_sqlite_is_looked_into() -> None:
    listed = analyse_text("SELECT date(value) FROM json_each(?)", "sqlite")
    assert listed.uncacheable is None
    assert names_present(listed, ('["2024-01-01", "now"]',), "sqlite")
    assert not names_present(listed, ('["2024-01-01", "know"]',), "sqlite")


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite", "mysql"])
@pytest.mark.parametrize("chain", [" || ", " AND ", " UNION SELECT "])
def test_a_statement_that_nests_deeper_than_the_stack_is_not_understood(
    dialect: str, chain: str
) -> None:
    answer = analyse_text("SELECT " + chain.join(["date(x)"] * 5000), dialect)
    assert answer.unknown_write
    assert answer.uncacheable == "unparsable"


@pytest.mark.parametrize(
    "part",
    [
        "SELECT id, first || ' ' || last, created::date FROM t UNION ALL ",
        "SELECT (SELECT max(lower(name)) FROM t) AS x, created::date FROM t UNION ALL ",
        "SELECT y::date FROM (SELECT lower(a) || a AS y FROM t) u UNION ALL ",
    ],
)
def test_a_long_statement_is_gone_through_once(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []
    note = Pieces._note
    monkeypatch.setattr(
        Pieces, "_note", lambda *args, **kw: (looked.append(1), note(*args, **kw))
    )

    def counted(times: int) -> int:
        looked.clear()
        analyse_text(part * times + "SELECT 1, 'a', x::date FROM t", "postgresql")
        return len(looked)

    assert 0 < counted(40) < 2.2 * counted(20)


def test_values_are_looked_at_only_where_they_may_be_times() -> None:
    plain = analyse_text("SELECT id FROM events WHERE name = ?", "sqlite")
    assert not names_present(plain, ("now",), "sqlite")
    clock = analyse_text(
        "WITH t(x) AS (VALUES (?)) SELECT julianday(x) FROM t", "sqlite"
    )
    assert clock.uncacheable is None
    assert names_present(clock, ("now",), "sqlite")
    assert not names_present(clock, ("not now",), "sqlite")

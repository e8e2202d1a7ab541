"""
Real servers, asked for the present moment by detours: never the same answer twice.

No clock is scripted here, for it is the servers' own. A statement that was answered
from the cache is one that the database wasn't sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    DateTime,
    String,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
)

from tests.support.databases import STATEMENT_LEVEL, Blog, blog_at, twin
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services import MariaDBDatabase
    from tests.services.postgres import PostgresDatabase
    from yokedcache import YokedCache

F = "%Y-%m-%d %H:%M:%f"
THEN = datetime(2024, 1, 1)  # noqa: DTZ001 - the columns have no zone


def sent_twice(
    blog: Blog, cache: YokedCache, statement: Any, values: Any = None
) -> bool:
    maker = blog.attached(cache)
    for _ in range(2):
        with maker() as session:
            session.execute(statement, values or {}).all()
    with blog.counted() as sent, maker() as session:
        session.execute(statement, values or {}).all()
    return len(sent) > 0


SQLITE: dict[str, tuple[Any, Any]] = {
    "quoted": (text('SELECT id, julianday("now") FROM users'), None),
    "in parentheses": (text(f"SELECT strftime('{F}', ('now'))"), None),
    "coalesce": (select(func.strftime(F, func.coalesce(None, "now"))), None),
    "cast": (text(f"SELECT strftime('{F}', CAST('now' AS TEXT))"), None),
    "literal column": (select(func.julianday(literal_column('"now"'))), None),
    "of a view": (text("SELECT t FROM seen"), None),
    "bound": (text("SELECT julianday(:x)"), {"x": "now"}),
    "bound elsewhere": (
        text("WITH t(x) AS (VALUES (:x)) SELECT julianday(x) FROM t"), {"x": "now"},
    ),
}  # fmt: skip


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Blog]:
    with blog_at(f"sqlite:///{tmp_path / 'data.db'}") as blog:
        with blog.engine.begin() as connection:
            connection.exec_driver_sql(
                'CREATE VIEW seen AS SELECT julianday("now") AS t FROM users'
            )
            connection.exec_driver_sql("CREATE TABLE events (id int, at datetime)")
        yield blog


@pytest.mark.parametrize("name", SQLITE)
def test_sqlite_is_asked_each_time(sqlite: Blog, cache: YokedCache, name: str) -> None:
    assert sent_twice(sqlite, cache, *SQLITE[name])


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("SELECT id FROM events WHERE at > :x", {"x": str(THEN)}),
        ("SELECT date(at), strftime('%Y', at) FROM events", {}),
        ("WITH t(x) AS (VALUES (:x)) SELECT julianday(x) FROM t, users", {"x": str(THEN)}),
    ],
)  # fmt: skip
def test_sqlite_is_answered_of_other_times(
    sqlite: Blog, cache: YokedCache, query: str, values: Any
) -> None:
    assert not sent_twice(sqlite, cache, text(query), values)


POSTGRESQL: dict[str, tuple[Any, Any]] = {
    "cast": (select(cast(literal("now", String), DateTime)), None),
    "text": (text("SELECT CAST(:x AS timestamptz)"), {"x": "now"}),
    "with spaces": (text("SELECT CAST(:x AS timestamptz)"), {"x": " now "}),
    "compared": (text("SELECT id FROM events WHERE at < :x"), {"x": "now"}),
    "range": (text("SELECT lower('[now,)'::tstzrange)::text"), None),
    "array": (text("SELECT ('{now}'::timestamptz[])::text"), None),
    "dollars": (text("SELECT $$now$$::timestamptz"), None),
    "escaped": (text(r"SELECT E'n\x6fw'::timestamptz"), None),
    "composed": (text("SELECT ('n' || 'ow')::timestamptz"), None),
    "view": (text("SELECT t FROM seen"), None),
}


@pytest.fixture(params=["psycopg", "psycopg2"])
def postgresql(
    postgres_database: PostgresDatabase, request: pytest.FixtureRequest
) -> Iterator[Blog]:
    with blog_at(postgres_database.url(request.param)) as blog:
        with blog.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE events (id int, at timestamptz)")
            connection.exec_driver_sql(
                "CREATE VIEW seen AS SELECT ('n' || 'ow')::timestamptz AS t"
            )
        yield blog


def test_postgresql_is_asked_each_time(postgresql: Blog, cache: YokedCache) -> None:
    maker = postgresql.attached(cache)
    with maker() as session:  # a shape that was met with another value
        session.scalar(select(cast(literal("2024-01-01", String), DateTime)))
    for name, (statement, values) in POSTGRESQL.items():
        assert sent_twice(postgresql, cache, statement, values), name


def test_postgresql_is_answered_of_other_times(
    postgresql: Blog, cache: YokedCache
) -> None:
    compared = text("SELECT id FROM events WHERE at < :x")
    for value in (THEN, str(THEN), "epoch", "infinity"):
        assert not sent_twice(postgresql, cache, compared, {"x": value})
    dated = text("SELECT date(at), at::date, date_trunc('day', at)::date FROM events")
    assert not sent_twice(postgresql, cache, dated)
    shape = select(cast(literal("2024-01-01", String), DateTime), text("1"))
    assert not sent_twice(postgresql, cache, shape.select_from(text("events")))


def test_what_a_function_was_told_at_present_is_not_kept(
    sqlite: Blog, cache: YokedCache
) -> None:
    query = text("WITH t(x) AS (VALUES (:x)) SELECT julianday(x) FROM t, users")
    calls: list[str] = []

    @cached(cache=cache)
    def told(word: str) -> Any:
        calls.append(word)
        with sqlite.attached(cache)() as session:
            return session.execute(query, {"x": word}).scalars().first()

    for word, times in (("now", 2), (str(THEN + timedelta(1)), 1)):
        calls.clear()
        assert [told(word), told(word)]
        assert len(calls) == times


@pytest.fixture
def mariadb(mariadb_database: MariaDBDatabase) -> Iterator[Blog]:
    with blog_at(mariadb_database.url("pymysql"), **STATEMENT_LEVEL) as blog:
        with blog.engine.begin() as connection:
            for name, expression in COLUMNS.items():
                connection.exec_driver_sql(
                    f"CREATE TABLE {name} (id int, x varchar(90) AS ({expression}) VIRTUAL)"
                )
        yield blog


COLUMNS = {
    "at": "now(6)", "drawn": "rand()", "named": "uuid()", "asked": "current_user()",
    "plain": "concat(id, 'now()')",
}  # fmt: skip


def test_mariadb_is_asked_for_columns_that_differ(
    mariadb: Blog, cache: YokedCache
) -> None:
    for name in COLUMNS:
        query = text(f"SELECT x FROM {name}")
        assert sent_twice(mariadb, cache, query) == (name != "plain"), name
        reason = f"volatile_column:{name}"
        assert (reason in cache.stats().total.refusals) == (name != "plain")


@pytest.mark.parametrize("statement", ["RESET QUERY CACHE", "SET PASSWORD = ''"])
def test_mariadb_commits_before_what_it_does_for_the_server(
    mariadb: Blog, cache: YokedCache, statement: str
) -> None:
    maker = mariadb.attached(cache)
    name = text("SELECT name FROM users WHERE id = 1")
    for _ in range(2):
        with maker() as session:
            assert session.scalar(name) == "ann"
    other = twin(mariadb.engine)  # for what is set makes its own engine cautious
    with other.connect() as connection:
        connection.exec_driver_sql("UPDATE users SET name = 'new' WHERE id = 1")
        connection.exec_driver_sql(statement)
        with maker() as session:
            assert session.scalar(name) == "new"
    other.dispose()

"""
A time of day with a zone, put into a named zone: PostgreSQL takes that zone's offset of today.

What is asked of one in summer differs from what is asked in winter, with no write between.
"""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import psycopg

from yokedcache import YokedCache
from yokedcache.sqlalchemy.statements.clauses import analyse_compiled
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.postgres import PostgresDatabase

TABLES = """
CREATE TABLE shops (id int PRIMARY KEY, opens timetz, opened timestamptz);
CREATE TABLE visits (id int PRIMARY KEY, at timestamptz);
CREATE VIEW mornings AS SELECT id, opens AS at FROM shops;
INSERT INTO shops VALUES (1, '09:00+00', '2024-01-01 09:00+00');
INSERT INTO visits VALUES (1, '2024-01-01 09:00+00');
"""


@pytest.fixture
def engine(postgres_database: PostgresDatabase) -> Iterator[sa.Engine]:
    engine = sa.create_engine(postgres_database.url("psycopg"))
    yield engine
    engine.dispose()


def _hits(engine: sa.Engine, statement: Any) -> int:
    cache = YokedCache("memory://")
    maker = cache.attach(orm.sessionmaker(engine))
    for _ in range(2):
        with maker() as session:
            assert session.execute(statement).all()
    hits = cache.stats().total.hits
    cache.sync.close()
    return hits


@pytest.mark.parametrize(
    "query",
    [
        "SELECT opens AT TIME ZONE 'Europe/Berlin' FROM shops",
        "SELECT timezone('Europe/Berlin', opens) FROM shops",
        "SELECT at AT TIME ZONE 'Europe/Berlin' FROM mornings",
        "SELECT '09:00'::timetz, id FROM visits",
        "SELECT CAST(at AS time with time zone) FROM visits",
        "SELECT timetz(at) FROM visits",
    ],
)
def test_what_today_decides_is_asked_each_time(engine: sa.Engine, query: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLES)
    assert _hits(engine, sa.text(query)) == 0


@pytest.mark.parametrize(
    "query",
    [
        "SELECT opens FROM shops",
        "SELECT at FROM visits",
        "SELECT at AT TIME ZONE 'Europe/Berlin' FROM visits",
        "SELECT timezone('Europe/Berlin', at) FROM visits",
    ],
)
def test_without_such_a_column_nothing_is_asked_again(
    engine: sa.Engine, query: str
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLES)
        if "shops" not in query:
            connection.exec_driver_sql("DROP TABLE shops CASCADE")
    assert _hits(engine, sa.text(query)) == 1


@pytest.mark.parametrize(
    "column", ["timetz[]", "opening", "opening[]", "hours"], ids=lambda kind: kind
)
def test_such_times_are_found_in_other_types(engine: sa.Engine, column: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE DOMAIN morning AS timetz; CREATE DOMAIN opening AS morning;"
            "CREATE TYPE hours AS (opens timetz, closes timetz);"
            f"CREATE TABLE shops (id int PRIMARY KEY, opens {column});"
            "CREATE TABLE visits (id int PRIMARY KEY, at timestamptz);"
            "INSERT INTO visits VALUES (1, '2024-01-01 09:00+00')"
        )
    query = "SELECT at AT TIME ZONE 'Europe/Berlin' FROM visits"
    assert _hits(engine, sa.text(query)) == 0


def test_a_type_that_nothing_is_made_of_asks_nothing_again(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE DOMAIN opening AS timetz; CREATE TABLE visits (at timestamptz);"
            "INSERT INTO visits VALUES ('2024-01-01 09:00+00')"
        )
    query = "SELECT at AT TIME ZONE 'Europe/Berlin' FROM visits"
    assert _hits(engine, sa.text(query)) == 1


VISITS = sa.table("visits", sa.column("at", sa.DateTime(timezone=True)))
WITH_ZONE = sa.Time(timezone=True)


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        (sa.select(sa.cast(VISITS.c.at, WITH_ZONE)), "volatile_function:timetz"),
        (sa.select(sa.cast(time(9), WITH_ZONE)), "volatile_function:timetz"),
        (sa.select(sa.func.timetz(VISITS.c.at)), "volatile_function:timetz"),
        (sa.select(sa.cast(VISITS.c.at, sa.Time)), None),
        (sa.select(sa.func.timezone("Europe/Berlin", VISITS.c.at)), None),
        (sa.select(VISITS.c.at.op("AT TIME ZONE")("Europe/Berlin")), None),
    ],
)
def test_what_sqlalchemy_renders_is_told_apart(
    statement: Any, refused: str | None
) -> None:
    compiled = statement.compile(dialect=psycopg.dialect())
    answer = analyse_compiled(compiled, "postgresql")
    assert answer.uncacheable == refused
    zoned = "timezone" in str(compiled) or "AT TIME ZONE" in str(compiled)
    assert ("timezone" in answer.called) is zoned


def test_a_zone_is_a_call_in_text_too() -> None:
    answer = analyse_text("SELECT at AT TIME ZONE 'UTC' FROM visits", "postgresql")
    assert answer.called == {"timezone"}

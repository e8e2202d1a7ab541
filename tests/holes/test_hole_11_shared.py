"""
Hole 11 on a shared store, which outlives processes, and databases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.holes.members import Member, environment, hire, run_directory
from tests.services.processes import wait_until
from tests.support.databases import blog_at
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.postgres import PostgresDatabase, PostgresServer
    from tests.services.redis import RedisServer

__all__ = ["environment", "hire", "run_directory"]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_hole_11_a_database_made_anew_between_two_runs(
    postgres_server: PostgresServer,
    redis_server: RedisServer,
    hire: Callable[..., Member],
) -> None:
    database = postgres_server.create_database()
    url = database.url("psycopg")
    for told in ("ann", "one of the second run"):
        with blog_at(url) as blog, blog.engine.begin() as connection:
            connection.execute(text("UPDATE users SET name = :to"), {"to": told})
        run = hire(url, redis_server.url())
        assert run.do("settle") == told
        assert run.do("ask") == [told] * 3
        assert run.do("served") == told
        run.close()
        postgres_server.drop_database(database)
        database = postgres_server.create_database(database.name)
    postgres_server.drop_database(database)


VALUES = """
    INSERT INTO kinds SELECT int4range(1, 5), point(1, 2), B'101', '10.0.0.1',
    interval '1 day', '{"a": 1}', ARRAY[1, 2]
"""
COLUMNS = ("range", "point", "bits", "address", "span", "json", "list")
READING = [text(f"SELECT {column} FROM kinds") for column in COLUMNS]
"""Each for itself: what a driver has no plain value for isn't kept."""


@pytest.fixture
def kinds(postgres_database: PostgresDatabase) -> Iterator[Engine]:
    """
    Give an engine on a table with a row of what drivers read each in their way.
    """
    engine = create_engine(postgres_database.url("psycopg"))
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE kinds (range int4range, point point, bits bit(3),"
                " address inet, span interval, json jsonb, list int[])"
            )
        )
        connection.execute(text(VALUES))
    yield engine
    engine.dispose()


def shape(rows: Any) -> list[list[Any]]:
    """
    Give values with their types: some drivers' are equal to strings.
    """
    return [[(type(value), value) for value in row] for row in rows]


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")
@pytest.mark.parametrize("first", ["psycopg", "asyncpg"])
async def test_hole_11_rows_of_two_drivers_on_one_store(
    kinds: Engine, redis_server: RedisServer, first: str
) -> None:
    one, other = (
        YokedCache(redis_server.url(), jitter=0, lease=2.0, store_timeout=10.0)
        for _ in range(2)
    )
    for cache in (one, other):
        wait_until(lambda: cache.sync.set("settled", 1))  # noqa: B023 - runs at once
    async_engine = create_async_engine(kinds.url.set(drivername="postgresql+asyncpg"))
    blocking = one.attach(sessionmaker(kinds))
    in_loop = other.attach(async_sessionmaker(async_engine))

    def read() -> list[Any]:
        with blocking() as session:
            return [shape(session.execute(one)) for one in READING]

    async def read_in_loop() -> list[Any]:
        async with in_loop() as session:
            return [shape(await session.execute(one)) for one in READING]

    with kinds.connect() as connection:
        plain = [shape(connection.execute(one)) for one in READING]
    async with async_engine.connect() as async_connection:
        plain_in_loop = [shape(await async_connection.execute(one)) for one in READING]
    differing = [a != b for a, b in zip(plain, plain_in_loop, strict=True)]
    assert sum(differing) >= 3
    for _ in range(3):
        if first == "psycopg":
            assert read() == plain
        assert await read_in_loop() == plain_in_loop
        assert read() == plain
    with kinds.begin() as connection:
        connection.execute(text("UPDATE kinds SET bits = B'111'"))
    assert "111" in str(read())
    assert "111" in str(await read_in_loop())
    for cache in (one, other):
        assert cache.stats().total.hits > 0
    await async_engine.dispose()
    one.sync.close()
    await other.close()

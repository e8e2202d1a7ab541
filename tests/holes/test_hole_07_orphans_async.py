"""
Hole 7 in the event loop: a fence whose connection is lost ends by proof.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from tests.holes.asking import AsyncAsker
from tests.holes.stalling import STALLING, server_of
from tests.support.held import LIMIT, until_async, within
from tests.support.looking import RENAMING
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.holes.stalling import Server
    from tests.support.databases import AsyncBlog

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("may_block")]

_PROCESS = {
    "postgresql": "SELECT pg_backend_pid()",
    "mariadb": "SELECT connection_id()",
}


@pytest.fixture
def patient() -> Iterator[YokedCache]:
    made = YokedCache(jitter=0, orphan_grace="10m")
    yield made
    made.sync.close()


@pytest.fixture
def short() -> Iterator[YokedCache]:
    made = YokedCache(jitter=0, orphan_grace="100ms")
    yield made
    made.sync.close()


@pytest.fixture
def server(async_blog: AsyncBlog) -> Iterator[Server]:
    driver = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}
    url = async_blog.engine.url
    engine = create_engine(url.set(drivername=driver[url.get_backend_name()]))
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            for statement in STALLING:
                connection.exec_driver_sql(statement)
    with server_of(engine) as made:
        yield made
    engine.dispose()


async def uncached(async_blog: AsyncBlog, ask: AsyncAsker) -> bool:
    await ask()
    with async_blog.counted() as sent:
        await ask()
    return bool(sent)


async def until_cached(async_blog: AsyncBlog, ask: AsyncAsker) -> None:
    end = time.monotonic() + LIMIT
    while await uncached(async_blog, ask):
        assert time.monotonic() < end, "it never came to that"


async def give_up(connection: AsyncConnection, server: Server) -> None:
    """
    Give up a commit that the server goes on with, and the connection as well.
    """
    await connection.execute(RENAMING)
    server.hold()
    task = asyncio.ensure_future(connection.commit())
    await until_async(server.is_waiting)
    raw: Any = await connection.get_raw_connection()
    driver = raw.driver_connection
    if connection.dialect.driver == "asyncpg":
        driver._transport.abort()
    else:
        driver.pgconn.finish()
    task.cancel()
    await asyncio.wait([task], timeout=LIMIT)


@pytest.mark.parametrize("async_blog", ["asyncpg", "psycopg"], indirect=True)
async def test_hole_07_a_commit_that_outlives_the_grace_and_its_loop(
    async_blog: AsyncBlog, short: YokedCache, server: Server
) -> None:
    ask = AsyncAsker(async_blog, short)
    await ask.served()
    async with async_blog.engine.connect() as connection:
        await give_up(connection, server)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert await ask() == {"ann"}
    assert server.is_waiting()
    server.let_go()
    name = "ann"
    while name == "ann":
        name = server.name()
        assert await ask() <= {"new", name}
    for _ in range(20):
        assert await ask() == {"new"}
    await until_cached(async_blog, ask)
    assert await ask.served() == {"new"}


@pytest.mark.parametrize("async_blog", ["asyncpg", "psycopg", "asyncmy"], indirect=True)
async def test_hole_07_a_backend_that_is_gone_is_noticed_in_the_loop(
    async_blog: AsyncBlog, patient: YokedCache, server: Server
) -> None:
    ask = AsyncAsker(async_blog, patient)
    await ask.served()
    connection = await async_blog.engine.connect()
    await connection.execute(RENAMING)
    process = _PROCESS[connection.dialect.name]
    server.kill((await connection.exec_driver_sql(process)).scalar())
    with pytest.raises(Exception, match=r"."):
        await within(connection.commit())
    await connection.close()
    await until_cached(async_blog, ask)
    assert await ask.served() == {"ann"}

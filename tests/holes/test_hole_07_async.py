"""
Hole 7 in the event loop: commits that are cancelled, or take too long.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.holes.asking import AsyncAsker
from tests.holes.stalling import STALLING, server_of
from tests.support.held import until, until_async, within
from tests.support.looking import RENAMING, name_async, rename_async
from tests.support.models import User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.holes.stalling import Server
    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("may_block")]

SERVERS = pytest.mark.parametrize(
    "async_blog", ["asyncpg", "psycopg", "asyncmy"], indirect=True
)


@pytest.fixture
async def ask(async_blog: AsyncBlog, cache: YokedCache) -> AsyncAsker:
    if async_blog.engine.dialect.name == "postgresql":
        async with async_blog.engine.begin() as connection:
            for statement in STALLING:
                await connection.exec_driver_sql(statement)
    asker = AsyncAsker(async_blog, cache)
    assert await asker.served() == {"ann"}
    return asker


@pytest.fixture
def server(async_blog: AsyncBlog) -> Iterator[Server]:
    driver = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}
    url = async_blog.engine.url
    engine = create_engine(url.set(drivername=driver[url.get_backend_name()]))
    with server_of(engine) as made:
        yield made


async def after(turns: int, deed: Callable[[], Any]) -> None:
    """
    Do something when the other tasks have gone on for a while.
    """
    for _ in range(turns):
        await asyncio.sleep(0)
    deed()


async def cancelled(task: asyncio.Task[Any]) -> None:
    """
    See a task end in its cancellation.
    """
    with pytest.raises(asyncio.CancelledError):
        await within(task)


async def asked_while_nothing_changed(
    blog: AsyncBlog, ask: AsyncAsker
) -> tuple[set[Any], Any]:
    """
    Give what was told, and what is there; a driver's thread may commit in between.
    """
    while True:
        before = await name_async(blog.sessions)
        told = await ask()
        if await name_async(blog.sessions) == before:
            return told, before


@pytest.mark.parametrize("how", ["asyncio", "anyio"])
async def test_hole_07_a_commit_that_is_cancelled(
    async_blog: AsyncBlog, ask: AsyncAsker, how: str
) -> None:
    for turns in (0, 1, 3, 8, 20):
        async with async_blog.sessions() as session:
            (await session.get_one(User, 1)).name = f"name {turns}"
            await session.flush()
            if how == "asyncio":
                commit = asyncio.ensure_future(session.commit())
                await after(turns, commit.cancel)
                await asyncio.gather(commit, return_exceptions=True)
            else:
                with anyio.CancelScope() as scope:
                    cancelling = asyncio.ensure_future(after(turns, scope.cancel))
                    await session.commit()
                await cancelling
            await ask()
        told, there = await asked_while_nothing_changed(async_blog, ask)
        assert told == {there}
    await rename_async(async_blog)
    assert await ask() == {"new"}


async def commits(connection: AsyncConnection) -> None:
    await connection.commit()


async def commits_by_text(connection: AsyncConnection) -> None:
    await connection.execute(text("COMMIT"))


@SERVERS
@pytest.mark.parametrize("end", [commits, commits_by_text])
async def test_hole_07_a_commit_that_outlives_its_cancellation(
    async_blog: AsyncBlog, ask: AsyncAsker, server: Server, end: Any
) -> None:
    async with async_blog.engine.connect() as connection:
        await connection.execute(RENAMING)
        server.hold()
        task = asyncio.ensure_future(end(connection))
        await until_async(server.is_waiting)
        task.cancel()
        for _ in range(3):
            assert await ask() == {"ann"}
        await until_async(server.was_told)
        server.let_go()
        await cancelled(task)
    until(lambda: server.name() == "new")
    assert await ask() == {"new"}


@SERVERS
async def test_hole_07_a_statement_that_outlives_its_cancellation(
    async_blog: AsyncBlog, ask: AsyncAsker, server: Server
) -> None:
    """
    In autocommit mode the statement is the commit.
    """
    engine = async_blog.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        server.hold()
        task = asyncio.ensure_future(connection.execute(RENAMING))
        await until_async(server.is_waiting)
        task.cancel()
        for _ in range(3):
            assert await ask() == {"ann"}
        await until_async(server.was_told)
        server.let_go()
        await cancelled(task)
    until(lambda: server.name() == "new")
    assert await ask() == {"new"}


@pytest.mark.parametrize("async_blog", ["aiosqlite"], indirect=True)
async def test_hole_07_a_statement_whose_thread_goes_on(
    async_blog: AsyncBlog, ask: AsyncAsker
) -> None:
    url = async_blog.engine.url
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    other = sqlite3.connect(str(url.database))
    sent = asyncio.Event()
    loop = asyncio.get_running_loop()

    def note(statement: str) -> None:
        if statement.startswith("UPDATE"):
            loop.call_soon_threadsafe(sent.set)

    @event.listens_for(engine.sync_engine, "connect")
    def trace(adapter: Any, _: Any) -> None:
        adapter.run_async(lambda driver: driver.set_trace_callback(note))

    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.ensure_future(connection.execute(RENAMING))
        await within(sent.wait())
        task.cancel()
        for _ in range(3):
            assert await ask() == {"ann"}
        other.rollback()
        await cancelled(task)
    seen = "SELECT name FROM users WHERE id = 1"
    until(lambda: other.execute(seen).fetchone() == ("new",))
    assert await ask() == {"new"}
    other.close()
    await engine.dispose()


@pytest.mark.parametrize("async_blog", ["asyncpg"], indirect=True)
@pytest.mark.parametrize("end", [commits, commits_by_text])
async def test_hole_07_a_commit_that_took_too_long(
    async_blog: AsyncBlog, ask: AsyncAsker, server: Server, end: Any
) -> None:
    """
    The server may go on, whatever the client has given up.
    """
    engine = create_async_engine(
        async_blog.engine.url, connect_args={"command_timeout": 0.2}
    )
    connection = await engine.connect()
    await connection.execute(RENAMING)
    server.hold()
    with pytest.raises(TimeoutError):
        await within(end(connection))
    assert await ask() == {"ann"}
    closing = asyncio.ensure_future(connection.close())
    for _ in range(3):
        assert await ask() == {"ann"}
    assert server.is_waiting()
    server.let_go()
    await within(closing)
    until(lambda: server.name() == "new")
    assert await ask() == {"new"}
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    assert await ask() == {"new"}
    await engine.dispose()

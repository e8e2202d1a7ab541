"""
Hole 7 on a shared store: a writer that stops, dies or is cancelled, seen by others.

Leases are short, and end while the writer is held up: no fence may end with them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from tests.holes.members import GRACE, Member, environment, hire, run_directory
from tests.holes.stalling import STALLING, server_of
from tests.services.processes import wait_until
from tests.support.databases import AsyncBlog, Blog, blog_at
from tests.support.held import until, until_async, within
from tests.support.looking import RENAMING
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.postgres import PostgresDatabase
    from tests.services.redis import RedisServer

__all__ = ["environment", "hire", "run_directory"]

# several interpreters start in each
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LEASE = 0.3


@pytest.fixture
def stalling(postgres_database: PostgresDatabase) -> Iterator[Blog]:
    """
    Give a blog whose commits can be held up in the server.
    """
    with blog_at(postgres_database.url("psycopg")) as made:
        with made.engine.begin() as connection:
            for statement in STALLING:
                connection.exec_driver_sql(statement)
        yield made


@pytest.fixture
def join(
    stalling: Blog, redis_server: RedisServer, hire: Callable[..., Member]
) -> Callable[[], Member]:
    """
    Give a function that starts a process, whose store is relied on.
    """
    url = stalling.engine.url.render_as_string(hide_password=False)

    def join() -> Member:
        member = hire(url, redis_server.url(), lease=LEASE)
        assert member.do("settle") == "ann"
        return member

    return join


def begin(*fillers: Member) -> None:
    for filler in fillers:
        assert filler.do("served") == "ann"
        filler.do("fill")


def nothing_older(filler: Member, *may: str) -> None:
    """
    See what a filler was told, and that none of it was gone by then.
    """
    found = filler.do("filled")
    assert found["older"] == 0
    assert set() < set(found["told"]) <= set(may)


def test_hole_07_a_writer_that_stops_on_either_side_of_its_commit(
    join: Callable[[], Member],
) -> None:
    writer, *fillers = join(), join(), join()
    begin(*fillers)
    writer.begin("stop_around_commit", "new")
    writer.stopped()
    # the fence is up, and COMMIT wasn't sent
    assert [filler.do("inquired") for filler in fillers] == [0, 0]
    for filler in fillers:
        nothing_older(filler, "ann")
        filler.do("fill")
    os.kill(writer.process.pid, signal.SIGCONT)
    writer.stopped()
    # the row is there, and the second bump isn't
    for filler in fillers:
        nothing_older(filler, "ann", "new")
        assert filler.do("ask") == ["new"] * 3
        filler.do("fill")
    os.kill(writer.process.pid, signal.SIGCONT)
    writer.finish()
    for filler in fillers:
        nothing_older(filler, "new")
        assert filler.do("served") == "new"


def test_hole_07_a_writer_that_is_killed_in_its_commit(
    stalling: Blog, join: Callable[[], Member]
) -> None:
    writer, *fillers = join(), join(), join()
    begin(*fillers)
    with server_of(stalling.engine) as server:
        server.hold()
        writer.begin("commit", "new")
        until(server.is_waiting)
        writer.kill()
        assert [filler.do("inquired") for filler in fillers] == [0, 0]
        for filler in fillers:
            nothing_older(filler, "ann")
            filler.do("fill")
        assert server.is_waiting()
        server.let_go()
        until(lambda: server.name() == "new")
        for filler in fillers:
            assert filler.do("ask") == ["new"] * 3
            nothing_older(filler, "ann", "new")
            assert filler.do("served") == "new"


@pytest.fixture
def cache(redis_server: RedisServer) -> Iterator[YokedCache]:
    """
    Give the cache of the process that commits, which is the test's.
    """
    made = YokedCache(
        redis_server.url(),
        jitter=0,
        lease=LEASE,
        orphan_grace=GRACE,
        store_timeout=10.0,
    )
    wait_until(lambda: made.sync.set("settled", 1))
    yield made
    made.sync.close()


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")
@pytest.mark.parametrize("async_blog", ["asyncpg"], indirect=True)
async def test_hole_07_a_commit_that_is_cancelled_is_still_unknown_to_others(
    async_blog: AsyncBlog,
    postgres_database: PostgresDatabase,
    redis_server: RedisServer,
    cache: YokedCache,
    *,
    hire: Callable[..., Member],
) -> None:
    async with async_blog.engine.begin() as connection:
        for statement in STALLING:
            await connection.exec_driver_sql(statement)
    async_blog.attached(cache)
    filler = hire(postgres_database.url("psycopg"), redis_server.url(), lease=LEASE)

    async def do(*words: Any) -> Any:
        return await asyncio.to_thread(filler.do, *words)

    assert await do("settle") == await do("served") == "ann"
    await do("fill")
    engine = create_engine(postgres_database.url("psycopg"))
    with server_of(engine) as server:
        async with async_blog.engine.connect() as connection:
            await connection.execute(RENAMING)
            server.hold()
            commit = asyncio.ensure_future(connection.commit())
            await until_async(server.is_waiting)
            commit.cancel()
            await until_async(server.was_told)
            # beyond many leases
            for _ in range(20):
                assert (await do("ask")) == ["ann"] * 3
            await asyncio.to_thread(nothing_older, filler, "ann")
            await do("fill")
            server.let_go()
            with pytest.raises(asyncio.CancelledError):
                await within(commit)
        await until_async(lambda: server.name() == "new")
        assert await do("ask") == ["new"] * 3
        await asyncio.to_thread(nothing_older, filler, "ann", "new")
        assert await do("served") == "new"
    engine.dispose()

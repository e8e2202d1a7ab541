"""
Flights of statements: many sessions ask at the same moment, one SELECT is sent.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import NullPool, create_engine, select
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.databases import AsyncBlog, Blog, blog_at, sqlite_file
from tests.support.held import Held, flights_of, until, until_async, waiting_for, within
from tests.support.models import User
from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Session, sessionmaker

pytestmark = pytest.mark.timeout(60)

MANY = 500
NAMES = select(User.name).order_by(User.id)
ANSWER = ["ann", "bob", "eve"]


def names(sessions: sessionmaker[Session]) -> list[str]:
    with sessions() as session:
        return list(session.scalars(NAMES))


async def names_async(sessions: async_sessionmaker[AsyncSession]) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(NAMES))


def shared(cache: YokedCache) -> int:
    return cache.stats().by_name["statements"].shared


@pytest.fixture
def held(blog: Blog) -> Iterator[Held]:
    made = Held(blog.engine)
    yield made
    made.remove()


def test_500_threads_ask_a_cold_statement_once(
    blog: Blog, cache: YokedCache, held: Held
) -> None:
    sessions = blog.attached(cache)
    with ThreadPoolExecutor(MANY) as pool:
        futures = [pool.submit(names, sessions) for _ in range(MANY)]
        until(lambda: waiting_for(cache) == MANY - 1)
        held.release()
        assert [future.result() for future in futures] == [ANSWER] * MANY
    assert held.selects == 1
    counts = cache.stats().by_name["statements"]
    assert (counts.hits, counts.loads, counts.shared) == (0, 1, MANY - 1)
    assert flights_of(cache) == 0
    assert names(sessions) == ANSWER
    assert held.selects == 1


async def test_500_tasks_ask_a_cold_statement_once(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    held = Held(async_blog.engine.sync_engine)
    sessions = async_blog.attached(cache)
    tasks = [asyncio.create_task(names_async(sessions)) for _ in range(MANY)]
    await until_async(lambda: waiting_for(cache) == MANY - 1)
    held.release()
    assert await within(asyncio.gather(*tasks)) == [ANSWER] * MANY
    assert held.selects == 1
    assert shared(cache) == MANY - 1
    assert flights_of(cache) == 0


async def test_500_tasks_that_nobody_holds_back_do_too(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    sessions = async_blog.attached(cache)
    with async_blog.counted() as sent:
        tasks = [names_async(sessions) for _ in range(MANY)]
        assert await within(asyncio.gather(*tasks)) == [ANSWER] * MANY
    assert len(sent) == 1


def test_threads_and_tasks_mixed_ask_once(
    postgres_database: Any, cache: YokedCache
) -> None:
    url = postgres_database.url("psycopg")
    blog = Blog(create_engine(url))
    engine = create_async_engine(url, poolclass=NullPool)
    sessions, asyncs = blog.attached(cache), AsyncBlog(engine).attached(cache)
    with sessions() as session:
        session.get_one(User, 1)  # both engines know who the database is

    async def greet() -> None:
        async with asyncs() as session:
            await session.get_one(User, 2)

    asyncio.run(greet())
    holds = [Held(blog.engine), Held(engine.sync_engine)]

    async def many() -> list[Any]:
        return await within(asyncio.gather(*(names_async(asyncs) for _ in range(50))))

    with ThreadPoolExecutor(MANY) as pool:
        futures = [pool.submit(names, sessions) for _ in range(250)]
        loops = [pool.submit(asyncio.run, many()) for _ in range(5)]
        until(lambda: waiting_for(cache) == MANY - 1)
        for held in holds:
            held.release()
        answers = [future.result() for future in futures]
        answers += [answer for loop in loops for answer in loop.result()]
    assert answers == [ANSWER] * MANY
    assert sum(held.selects for held in holds) == 1
    blog.engine.dispose()


@pytest.mark.parametrize("driver", ["aiosqlite", "asyncpg"])
def test_tasks_of_several_loops_ask_once(
    driver: str, request: pytest.FixtureRequest, tmp_path: Path, cache: YokedCache
) -> None:
    if driver == "aiosqlite":
        url = f"sqlite+aiosqlite:///{sqlite_file(tmp_path)}"
    else:
        url = request.getfixturevalue("postgres_database").url(driver)
    blog = AsyncBlog(create_async_engine(url, poolclass=NullPool))
    asyncio.run(blog.fill())
    sessions = blog.attached(cache)
    held = Held(blog.engine.sync_engine)

    async def many() -> list[Any]:
        return await within(
            asyncio.gather(*(names_async(sessions) for _ in range(100)))
        )

    with ThreadPoolExecutor(5) as pool:
        loops = [pool.submit(asyncio.run, many()) for _ in range(5)]
        until(lambda: waiting_for(cache) == MANY - 1)
        held.release()
        answers = [answer for loop in loops for answer in loop.result()]
    assert answers == [ANSWER] * MANY
    assert held.selects == 1


def test_objects_of_a_flight_belong_to_their_own_sessions(
    blog: Blog, cache: YokedCache, held: Held
) -> None:
    sessions = blog.attached(cache)

    def ask() -> Any:
        with sessions() as session:
            user = session.get_one(User, 1)
            assert user in session
            return user

    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(ask) for _ in range(10)]
        until(lambda: waiting_for(cache) == 9)
        held.release()
        users = [future.result() for future in futures]
    assert {user.name for user in users} == {"ann"}
    assert len({id(user) for user in users}) == 10
    assert held.selects == 1


def test_a_function_that_waited_for_a_statement_depends_on_what_it_read(
    blog: Blog, cache: YokedCache, held: Held
) -> None:
    sessions = blog.attached(cache)

    @cached(cache=cache)
    def greeting() -> str:
        return " ".join(names(sessions))

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(names, sessions)
        assert held.begun.wait(20)
        waiter = pool.submit(greeting)
        until(lambda: waiting_for(cache) == 1)
        held.release()
        assert leader.result() == ANSWER
        assert waiter.result() == "ann bob eve"
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "dan"
    assert greeting() == "dan bob eve"


def test_explain_tells_of_a_load_under_way(
    blog: Blog, cache: YokedCache, held: Held
) -> None:
    sessions = blog.attached(cache)
    with sessions() as session:
        assert not cache.explain(NAMES, session=session).loading
    with ThreadPoolExecutor(1) as pool, sessions() as session:
        leader = pool.submit(names, sessions)
        assert held.begun.wait(20)
        told = cache.explain(NAMES, session=session)
        held.release()
        assert leader.result() == ANSWER
    assert told.loading
    assert "being loaded" in str(told)
    assert not told.served


def test_a_result_in_its_callers_hands_is_not_waited_for(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    with sessions() as session, ThreadPoolExecutor(1) as pool:
        result = session.scalars(NAMES)
        assert flights_of(cache) == 0
        assert pool.submit(names, sessions).result(20) == ANSWER
        assert list(result) == ANSWER
    assert cache.stats().by_name["statements"].loads == 2


def test_a_leader_that_does_not_read_its_rows_holds_nobody_up(
    blog: Blog, held: Held
) -> None:
    cache = YokedCache(jitter=0, flight_timeout=60)
    sessions = blog.attached(cache)
    served = threading.Event()

    def lead() -> list[str]:
        with sessions() as session:
            result = session.scalars(NAMES)
            assert served.wait(20)
            return list(result)

    with ThreadPoolExecutor(10) as pool:
        leader = pool.submit(lead)
        assert held.begun.wait(20)
        others = [pool.submit(names, sessions) for _ in range(9)]
        until(lambda: waiting_for(cache) == 9)
        held.release()
        try:
            assert [future.result(15) for future in others] == [ANSWER] * 9
        finally:
            served.set()
        assert leader.result() == ANSWER
    assert held.selects == 1
    cache.sync.close()


def test_a_result_that_is_dropped_unread_leaves_nothing(
    blog: Blog, cache: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", noise.append)
    sessions = blog.attached(cache)
    with sessions() as session:
        session.execute(NAMES)
        gc.collect()
        assert flights_of(cache) == 0
    gc.collect()
    assert noise == []
    assert names(sessions) == ANSWER


class SlowCursor(sqlite3.Cursor):
    """
    Fetches no row before it may.
    """

    fetching = threading.Event()
    gate = threading.Event()

    def fetchall(self) -> Any:
        self.fetching.set()
        assert self.gate.wait(20)
        return super().fetchall()


class SlowConnection(sqlite3.Connection):
    """
    Makes slow cursors.
    """

    def cursor(self, factory: Any = SlowCursor) -> Any:
        return super().cursor(factory)


def test_rows_that_are_being_fetched_are_waited_for(
    tmp_path: Path, cache: YokedCache
) -> None:
    """
    SQLite does most of a query's work while its rows are fetched.
    """
    SlowCursor.gate.set()
    url = f"sqlite:///{sqlite_file(tmp_path)}"
    with blog_at(url, connect_args={"factory": SlowConnection}) as blog:
        sessions = blog.attached(cache)
        with sessions() as session:
            session.get_one(User, 1)
        SlowCursor.fetching.clear()
        SlowCursor.gate.clear()
        with ThreadPoolExecutor(10) as pool, blog.counted() as sent:
            futures = [pool.submit(names, sessions)]
            assert SlowCursor.fetching.wait(20)
            futures += [pool.submit(names, sessions) for _ in range(9)]
            until(lambda: waiting_for(cache) == 9)
            SlowCursor.gate.set()
            assert [future.result() for future in futures] == [ANSWER] * 10
    assert len(sent) == 1

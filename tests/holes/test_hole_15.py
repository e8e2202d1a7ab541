"""
Hole 15: flights must not hang an application that worked without them.

Nobody's patience ends here of itself (`flight_timeout` is long), so whoever waits
where it must not is late.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.databases import (
    STATEMENT_LEVEL,
    AsyncBlog,
    Blog,
    blog_at,
    sqlite_file,
)
from tests.support.held import Held, flights_of, until, until_async, waiting_for
from tests.support.models import User
from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session

pytestmark = pytest.mark.timeout(60)

NAMES = select(User.name).order_by(User.id)
ANSWER = ["ann", "bob", "eve"]
SERVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncpg": ("postgres_database", {}),
    "asyncmy": ("mariadb_database", STATEMENT_LEVEL),
}


@pytest.fixture
def cache() -> Iterator[YokedCache]:
    made = YokedCache(jitter=0, flight_timeout=30)
    yield made
    made.sync.close()


@contextlib.contextmanager
def soon() -> Iterator[None]:
    """
    Fail where the block takes longer than a second or so.
    """
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 1.5


def names(session: Session) -> list[str]:
    return list(session.scalars(NAMES))


def asking(sessions: Callable[[], Any]) -> list[str]:
    with sessions() as session:
        return names(session)


TWO: dict[str, Any] = {"pool_size": 2, "max_overflow": 0, "pool_timeout": 20}


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def pool_of_two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blog]:
    options = TWO
    if request.param == "sqlite":
        url = f"sqlite:///{sqlite_file(tmp_path)}"
    elif request.param == "postgresql":
        url = request.getfixturevalue("postgres_database").url("psycopg")
    else:
        url = request.getfixturevalue("mariadb_database").url("pymysql")
        options = TWO | STATEMENT_LEVEL
    with blog_at(url, **options) as made:
        yield made


def test_hole_15_a_pool_of_two_whose_holders_ask_what_is_being_loaded(
    pool_of_two: Blog, cache: YokedCache
) -> None:
    sessions = pool_of_two.attached(cache)
    with ThreadPoolExecutor(1) as pool, soon():
        with sessions() as first, sessions() as second:
            first.connection()
            second.connection()
            leader = pool.submit(asking, sessions)
            until(lambda: flights_of(cache) == 1)
            assert names(first) == names(second) == ANSWER
        assert leader.result() == ANSWER
    assert cache.stats().by_name["statements"].shared == 0


def test_hole_15_a_pool_of_two_and_a_function(
    pool_of_two: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def ask(session: Session) -> list[str]:
        return names(session)

    def call() -> list[str]:
        with pool_of_two.sessions() as session:
            return ask(session)

    with ThreadPoolExecutor(1) as pool, soon():
        with pool_of_two.sessions() as first, pool_of_two.sessions() as second:
            first.connection()
            second.connection()
            leader = pool.submit(call)
            until(lambda: flights_of(cache) == 1)
            assert ask(first) == ask(second) == ANSWER
        assert leader.result() == ANSWER


@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy"])
async def test_hole_15_a_pool_of_two_in_the_loop(
    request: pytest.FixtureRequest, cache: YokedCache, driver: str
) -> None:
    server, options = SERVERS[driver]
    url = request.getfixturevalue(server).url(driver)
    engine = create_async_engine(url, **TWO, **options)
    blog = await AsyncBlog(engine).fill()
    sessions = blog.attached(cache)

    async def ask(session: Any) -> list[str]:
        return list(await session.scalars(NAMES))

    async def lead() -> list[str]:
        async with sessions() as session:
            return await ask(session)

    with soon():
        async with sessions() as first, sessions() as second:
            await first.connection()
            await second.connection()
            leader = asyncio.create_task(lead())
            await until_async(lambda: flights_of(cache) == 1)
            assert await ask(first) == await ask(second) == ANSWER
        assert await leader == ANSWER
    await engine.dispose()


async def test_hole_15_b_a_blocking_caller_on_the_loop_of_the_leader(
    postgres_database: Any,
    cache: YokedCache,
    may_block: None,
) -> None:
    url = postgres_database.url("psycopg")
    engine = create_async_engine(url)
    blog = await AsyncBlog(engine).fill()
    asyncs = blog.attached(cache)
    with blog_at_existing(url) as blocking:
        sessions = blocking.attached(cache)
        with sessions() as session:
            session.get_one(User, 1)  # who the database is makes one key of both
        async with asyncs() as session:
            await session.get_one(User, 2)
        held = Held(engine.sync_engine)

        async def lead() -> list[str]:
            async with asyncs() as session:
                return list(await session.scalars(NAMES))

        leader = asyncio.create_task(lead())
        await until_async(held.begun.is_set)
        assert flights_of(cache) == 1
        with sessions() as session, soon():
            assert cache.explain(NAMES, session=session).loading
            assert names(session) == ANSWER
        held.release()
        assert await leader == ANSWER
    await engine.dispose()


@contextlib.contextmanager
def blog_at_existing(url: str) -> Iterator[Blog]:
    """
    Give a blog whose tables another engine made and filled.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.orm import sessionmaker

    blog = Blog.__new__(Blog)
    blog.engine = create_engine(url)
    blog.sessions = sessionmaker(blog.engine)
    yield blog
    blog.engine.dispose()


def test_hole_15_c_functions_that_call_each_other(cache: YokedCache) -> None:
    both = threading.Barrier(2)
    met: list[str] = []

    @cached(cache=cache)
    def one(number: int) -> int:
        if "one" not in met:
            met.append("one")
            both.wait(20)
            two(number)
        return number

    @cached(cache=cache)
    def two(number: int) -> int:
        if "two" not in met:
            met.append("two")
            both.wait(20)
            one(number)
        return number

    with ThreadPoolExecutor(2) as pool, soon():
        futures = [pool.submit(one, 1), pool.submit(two, 1)]
        assert [future.result() for future in futures] == [1, 1]


def test_hole_15_c_a_circle_through_two_caches(cache: YokedCache) -> None:
    other = YokedCache(jitter=0, flight_timeout=30)
    both = threading.Barrier(2)
    met: list[str] = []

    @cached(cache=cache)
    def one() -> int:
        if "one" not in met:
            met.append("one")
            both.wait(20)
            two()
        return 1

    @cached(cache=other)
    def two() -> int:
        if "two" not in met:
            met.append("two")
            both.wait(20)
            one()
        return 2

    with ThreadPoolExecutor(2) as pool, soon():
        futures = [pool.submit(one), pool.submit(two)]
        assert [future.result() for future in futures] == [1, 2]
    other.sync.close()


def test_hole_15_c_a_circle_of_a_statement_and_a_function(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    asked, leading = threading.Event(), threading.Event()
    leaders: list[int] = []

    @cached(cache=cache)
    def count() -> int:
        if not asked.is_set():
            asked.set()
            assert leading.wait(20)
        return len(asking(sessions))

    def listener(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and not leaders:
            leaders.append(threading.get_ident())
            leading.set()
            until(lambda: waiting_for(cache) == 1)
            assert count() == 3  # led by who waits for this very statement

    with ThreadPoolExecutor(2) as pool:
        function = pool.submit(count)
        assert asked.wait(20)
        event.listen(blog.engine, "before_cursor_execute", listener)
        with soon():
            assert pool.submit(asking, sessions).result() == ANSWER
            assert function.result() == 3


def test_hole_15_d_who_has_locked_what_the_leader_needs(
    postgres_database: Any, cache: YokedCache
) -> None:
    with blog_at(postgres_database.url("psycopg")) as blog:
        sessions = blog.attached(cache)
        with ThreadPoolExecutor(1) as pool, soon():
            with sessions() as session:
                session.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
                leader = pool.submit(asking, sessions)
                until(lambda: flights_of(cache) == 1)
                assert names(session) == ANSWER
            assert leader.result() == ANSWER


@pytest.mark.parametrize("blog", ["postgresql", "mariadb"], indirect=True)
def test_hole_15_d_a_row_lock_and_a_function(blog: Blog, cache: YokedCache) -> None:
    locking = select(User).where(User.id == 1).with_for_update()

    @cached(cache=cache)
    def name(session: Session) -> str:
        return session.scalars(locking).one().name

    def call() -> str:
        with blog.sessions() as session:
            return name(session)

    with ThreadPoolExecutor(1) as pool, soon():
        with blog.sessions() as session:
            session.scalars(locking).one()
            leader = pool.submit(call)
            until(lambda: flights_of(cache) == 1)
            assert name(session) == "ann"
        assert leader.result() == "ann"


def test_hole_15_who_waited_long_enough_loads_by_itself(blog: Blog) -> None:
    cache = YokedCache(jitter=0, flight_timeout=0.05)
    sessions = blog.attached(cache)
    held = Held(blog.engine)
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(asking, sessions)
        assert held.begun.wait(20)
        with soon():
            assert asking(sessions) == ANSWER
        assert not leader.done()
        held.release()
        assert leader.result() == ANSWER
    assert (waiting_for(cache), flights_of(cache)) == (0, 0)
    cache.sync.close()

"""
Hole 12: what a cached function reads in other threads and tasks is known as well.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text

from tests.support.models import Post, User
from yokedcache import cached
from yokedcache.sqlalchemy import NoCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

NAME = select(User.name).where(User.id == 1)


def read(blog: Blog, statement: Any = NAME) -> Any:
    with blog.sessions() as session:
        return session.execute(statement).scalar_one()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """
    Give a pool whose workers were started before anything was cached.
    """
    with ThreadPoolExecutor(2) as made:
        made.submit(int).result()
        yield made


def by_thread(blog: Blog, _: ThreadPoolExecutor) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(read(blog)))
    thread.start()
    thread.join()
    return found[0]


def by_thread_class(blog: Blog, _: ThreadPoolExecutor) -> Any:
    class Reader(threading.Thread):
        found: Any = None

        def run(self) -> None:
            self.found = read(blog)

    reader = Reader()
    reader.start()
    reader.join()
    return reader.found


def by_submit(blog: Blog, pool: ThreadPoolExecutor) -> Any:
    return pool.submit(read, blog).result()


def by_map(blog: Blog, pool: ThreadPoolExecutor) -> Any:
    return next(iter(pool.map(read, [blog])))


def by_a_new_pool(blog: Blog, _: ThreadPoolExecutor) -> Any:
    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(read, blog).result()


def by_a_thread_of_a_thread(blog: Blog, pool: ThreadPoolExecutor) -> Any:
    return pool.submit(by_thread, blog, pool).result()


@pytest.mark.parametrize(
    "way",
    [
        *(by_thread, by_thread_class, by_submit, by_map, by_a_new_pool),
        by_a_thread_of_a_thread,
    ],
)
def test_hole_12_reads_in_threads(
    blog: Blog,
    cache: YokedCache,
    pool: ThreadPoolExecutor,
    way: Callable[[Blog, ThreadPoolExecutor], Any],
) -> None:
    @cached(cache=cache)
    def called() -> Any:
        return way(blog, pool)

    assert [called(), called()] == ["ann", "ann"]
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "new"
    assert called() == "new"
    assert cache.stats().total.hits == 1


def test_a_thread_started_outside_captures_carries_nothing(
    blog: Blog, cache: YokedCache, pool: ThreadPoolExecutor
) -> None:
    @cached(cache=cache)
    def called() -> int:
        return 1

    called()
    assert pool.submit(read, blog).result() == "ann"
    assert cache.explain(called).depends_on == ()


async def gathered(blog: AsyncBlog) -> Any:
    found, _ = await asyncio.gather(_name(blog), _name(blog))
    return found


async def a_task(blog: AsyncBlog) -> Any:
    return await asyncio.create_task(_name(blog))


async def a_task_group(blog: AsyncBlog) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_name(blog))
    return task.result()


async def _name(blog: AsyncBlog) -> Any:
    async with blog.sessions() as session:
        return await session.scalar(NAME)


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
@pytest.mark.parametrize("way", [gathered, a_task, a_task_group])
async def test_hole_12_reads_in_tasks(
    async_blog: AsyncBlog, cache: YokedCache, way: Callable[[AsyncBlog], Any]
) -> None:
    @cached(cache=cache)
    async def called() -> Any:
        return await way(async_blog)

    assert [await called(), await called()] == ["ann", "ann"]
    async with async_blog.sessions.begin() as session:
        (await session.get_one(User, 1)).name = "new"
    assert await called() == "new"


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["to_thread", "run_in_executor", "own pool"])
async def test_hole_12_reads_in_executors_of_a_loop(
    blog: Blog, cache: YokedCache, pool: ThreadPoolExecutor, way: str
) -> None:
    @cached(cache=cache)
    async def called() -> Any:
        if way == "to_thread":
            return await asyncio.to_thread(read, blog)
        own = pool if way == "own pool" else None
        return await asyncio.get_running_loop().run_in_executor(own, read, blog)

    def rename() -> None:
        with blog.sessions.begin() as session:
            session.get_one(User, 1).name = "new"

    assert [await called(), await called()] == ["ann", "ann"]
    await asyncio.to_thread(rename)
    assert await called() == "new"


def test_hole_12_a_nested_hit_hands_on_what_it_carries(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def inner() -> Any:
        return read(blog)

    @cached(cache=cache)
    def outer() -> Any:
        return inner()

    assert inner() == "ann"
    assert [outer(), outer()] == ["ann", "ann"]
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "new"
    assert outer() == "new"


def test_hole_12_a_commit_between_two_reads_of_one_function(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def twice() -> Any:
        first = read(blog)
        if first == "ann":
            with blog.engine.begin() as connection:
                connection.execute(text("UPDATE users SET name = 'new' WHERE id = 1"))
        return first, read(blog)

    assert twice() == ("ann", "new")
    assert twice() == ("new", "new")


@pytest.mark.parametrize(
    "statement",
    [
        NAME.options(NoCache()),
        NAME.execution_options(stream_results=True),
        text("SELECT name FROM users WHERE id = 1"),
    ],
    ids=["NoCache", "stream", "text"],
)
def test_hole_12_statements_that_are_bypassed_count(
    blog: Blog, cache: YokedCache, statement: Any
) -> None:
    maker = blog.attached(cache)

    @cached(cache=cache)
    def called() -> Any:
        with maker() as session:
            return session.execute(statement).scalar_one()

    assert called() == "ann"
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "new"
    assert called() == "new"


def test_hole_12_a_cached_exception_carries_what_was_read(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, errors={LookupError: "1h"})
    def titled() -> Any:
        with blog.sessions() as session:
            if not session.scalar(select(func.count()).where(Post.title == "x")):
                raise LookupError("none")
            return "found"

    @cached(cache=cache, errors={LookupError: "1h"})
    def outer() -> Any:
        return titled()

    for _ in range(2):
        with pytest.raises(LookupError):
            outer()
    assert cache.stats().total.hits == 1
    with blog.sessions.begin() as session:
        session.get_one(Post, 11).title = "x"
    assert outer() == "found"


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
async def test_hole_12_a_task_that_outlives_its_function(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    """
    What it reads later can't be in the answer, and must not be in its vector.
    """
    gate = asyncio.Event()
    tasks: list[asyncio.Task[Any]] = []

    async def later() -> Any:
        await gate.wait()
        return await _name(async_blog)

    @cached(cache=cache)
    async def called() -> int:
        tasks.append(asyncio.create_task(later()))
        return len(tasks)

    assert await called() == 1
    gate.set()
    assert await tasks[0] == "ann"
    assert await called() == 1
    assert cache.explain(called).depends_on == ()

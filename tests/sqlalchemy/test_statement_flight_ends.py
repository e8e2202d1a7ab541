"""
How flights of statements end: leaders that fail, are cancelled, or may not share.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.orm import sessionmaker

from tests.support.databases import AsyncBlog, Blog, blog_in_memory
from tests.support.held import Held, flights_of, until, until_async, waiting_for, within
from tests.support.models import Base, User
from yokedcache import YokedCache, cached
from yokedcache.sqlalchemy import FromCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Session

pytestmark = pytest.mark.timeout(60)

NAMES = select(User.name).order_by(User.id)
ANSWER = ["ann", "bob", "eve"]
OTHERS = 20


def names(sessions: sessionmaker[Session]) -> list[str]:
    with sessions() as session:
        return list(session.scalars(NAMES))


async def names_async(sessions: async_sessionmaker[AsyncSession]) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(NAMES))


@pytest.fixture(scope="module", autouse=True)
def not_the_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    """
    Let a process know what it learns once: until then nobody waits for a leader.
    """
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('first')}/first.db")
    Base.metadata.create_all(engine)
    cache = YokedCache()
    sessions = cache.attach(sessionmaker(engine))
    for _ in range(2):
        assert names(sessions) == []
    cache.sync.close()
    engine.dispose()


@pytest.fixture
def held(blog: Blog) -> Iterator[Held]:
    made = Held(blog.engine)
    yield made
    made.remove()


@pytest.fixture
def held_async(async_blog: AsyncBlog) -> Held:
    return Held(async_blog.engine.sync_engine)


def at_rest(cache: YokedCache) -> bool:
    return (waiting_for(cache), flights_of(cache)) == (0, 0)


class TestLeadersThatFail:
    def test_raising(self, blog: Blog, cache: YokedCache, held: Held) -> None:
        sessions = blog.attached(cache)

        def fail(_c: Any, _k: Any, statement: str, *_: Any) -> None:
            if statement.startswith("SELECT") and held.selects == 1:
                raise LookupError("the first one fails")
            # with nobody waiting for it yet the second one's flight would drift
            until(lambda: waiting_for(cache) == OTHERS - 1)

        event.listen(blog.engine, "after_cursor_execute", fail)
        with ThreadPoolExecutor(OTHERS + 1) as pool:
            leader = pool.submit(names, sessions)
            assert held.begun.wait(20)
            others = [pool.submit(names, sessions) for _ in range(OTHERS)]
            until(lambda: waiting_for(cache) == OTHERS)
            held.release()
            with pytest.raises(LookupError, match="the first one fails"):
                leader.result()
            assert [future.result() for future in others] == [ANSWER] * OTHERS
        assert held.selects == 2
        assert at_rest(cache)

    async def test_cancelled(
        self, async_blog: AsyncBlog, cache: YokedCache, held_async: Held
    ) -> None:
        sessions = async_blog.attached(cache)
        leader = asyncio.create_task(names_async(sessions))
        await until_async(held_async.begun.is_set)
        others = [asyncio.create_task(names_async(sessions)) for _ in range(OTHERS)]
        await until_async(lambda: waiting_for(cache) == OTHERS)
        leader.cancel()
        assert await within(asyncio.gather(*others)) == [ANSWER] * OTHERS
        assert held_async.selects == 2
        assert at_rest(cache)
        with pytest.raises(asyncio.CancelledError):
            await leader

    async def test_cancelled_while_it_waits_for_a_connection(
        self, async_blog: AsyncBlog, cache: YokedCache
    ) -> None:
        sessions = async_blog.attached(cache)
        pool: Any = async_blog.engine.pool
        held = [await async_blog.engine.connect() for _ in range(pool.size() + 10)]
        leader = asyncio.create_task(names_async(sessions))
        await until_async(lambda: flights_of(cache) == 1)
        other = asyncio.create_task(names_async(sessions))
        await until_async(lambda: waiting_for(cache) == 1)
        leader.cancel()
        for connection in held:
            await connection.close()
        assert await within(other) == ANSWER
        assert at_rest(cache)
        with pytest.raises(asyncio.CancelledError):
            await leader

    async def test_a_cancelled_waiter_disturbs_nobody(
        self, async_blog: AsyncBlog, cache: YokedCache, held_async: Held
    ) -> None:
        sessions = async_blog.attached(cache)
        leader = asyncio.create_task(names_async(sessions))
        await until_async(held_async.begun.is_set)
        others = [asyncio.create_task(names_async(sessions)) for _ in range(OTHERS)]
        await until_async(lambda: waiting_for(cache) == OTHERS)
        for task in others[:5]:
            task.cancel()
        await until_async(lambda: waiting_for(cache) == OTHERS - 5)
        held_async.release()
        assert await within(asyncio.gather(leader, *others[5:])) == [ANSWER] * 16
        ended = await asyncio.gather(*others[:5], return_exceptions=True)
        assert {type(end) for end in ended} == {asyncio.CancelledError}
        assert held_async.selects == 1
        assert at_rest(cache)
        counts = cache.stats().by_name["statements"]
        assert (counts.loads, counts.shared) == (1, OTHERS - 5)
        assert counts.refusals == {}

    def test_never_returning(self, blog: Blog, held: Held) -> None:
        cache = YokedCache(jitter=0, flight_timeout=0.05)
        sessions = blog.attached(cache)
        with ThreadPoolExecutor(5) as pool:
            leader = pool.submit(names, sessions)
            assert held.begun.wait(20)
            others = [pool.submit(names, sessions) for _ in range(4)]
            assert [future.result() for future in others] == [ANSWER] * 4
            held.release()
            assert leader.result() == ANSWER
        assert at_rest(cache)
        cache.sync.close()

    async def test_never_returning_in_the_loop(
        self, async_blog: AsyncBlog, held_async: Held
    ) -> None:
        cache = YokedCache(jitter=0, flight_timeout=0.05)
        sessions = async_blog.attached(cache)
        leader = asyncio.create_task(names_async(sessions))
        await until_async(held_async.begun.is_set)
        others = [names_async(sessions) for _ in range(4)]
        assert await within(asyncio.gather(*others)) == [ANSWER] * 4
        held_async.release()
        assert await within(leader) == ANSWER
        assert at_rest(cache)
        await cache.close()


class TestWhatMayNotBeShared:
    @pytest.mark.parametrize(
        ("limit", "reason"),
        [({"max_rows": 2}, "too_many_rows"), ({"max_recording": 50}, "too_large")],
        ids=["rows", "bytes"],
    )
    def test_past_the_limits_everyone_goes_on_at_once(
        self, blog: Blog, held: Held, limit: dict[str, int], reason: str
    ) -> None:
        cache = YokedCache(jitter=0, flight_timeout=30, **limit)
        sessions = blog.attached(cache)
        second = Held(blog.engine, nth=2)
        with ThreadPoolExecutor(OTHERS + 1) as pool:
            futures = [pool.submit(names, sessions) for _ in range(OTHERS + 1)]
            until(lambda: waiting_for(cache) == OTHERS)
            held.release()
            until(lambda: sum(future.done() for future in futures) == OTHERS)
            second.release()
            assert [f.result() for f in futures] == [ANSWER] * (OTHERS + 1)
        assert held.selects == OTHERS + 1
        assert at_rest(cache)
        assert cache.stats().total.refusals == {reason: OTHERS + 1}
        held.remove()
        again = Held(blog.engine)
        with ThreadPoolExecutor(1) as pool:  # now that it is known, nobody waits
            leader = pool.submit(names, sessions)
            assert again.begun.wait(20)
            assert names(sessions) == ANSWER
            again.release()
            assert leader.result() == ANSWER
        cache.sync.close()

    def test_under_a_fence_those_who_came_in_time_are_served(
        self, blog: Blog, cache: YokedCache
    ) -> None:
        sessions = blog.attached(cache)
        with sessions() as session:
            session.get_one(User, 1)
        fence = cache.machine.store.fence(
            [str(name) for name in cache.machine.store.names()]
        )
        waiters = threading.Event()
        terminal = cache.machine.terminal
        taken_off = terminal.take_off

        def take_off(seat: Any) -> None:
            assert waiters.wait(20)
            taken_off(seat)

        terminal.take_off = take_off  # type: ignore[method-assign]
        with ThreadPoolExecutor(OTHERS + 1) as pool, blog.counted() as sent:
            futures = [pool.submit(names, sessions) for _ in range(OTHERS + 1)]
            until(lambda: waiting_for(cache) == OTHERS)
            waiters.set()
            assert [f.result() for f in futures] == [ANSWER] * (OTHERS + 1)
        assert len(sent) == 1
        counts = cache.stats().by_name["statements"]
        assert (counts.hits, counts.shared) == (0, OTHERS)
        assert counts.refusals == {"commit_in_flight": 1}
        cache.machine.store.lift(fence)

    @pytest.mark.parametrize("stored", [True, False])
    def test_what_callers_of_a_function_shared_counts_as_no_hit(
        self, cache: YokedCache, stored: bool
    ) -> None:
        gate = threading.Event()

        @cached(cache=cache, condition=lambda _: stored)
        def load() -> int:
            assert gate.wait(20)
            return 1

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(load) for _ in range(4)]
            until(lambda: waiting_for(cache) == 3)
            gate.set()
            assert [future.result() for future in futures] == [1] * 4
        counts = cache.stats().total
        assert (counts.hits, counts.loads, counts.shared) == (0, 1, 3)

    def test_what_sees_uncommitted_rows_serves_nobody_else(
        self, cache: YokedCache
    ) -> None:
        with blog_in_memory() as blog:
            sessions = blog.attached(cache)
            with sessions() as session:
                session.get_one(User, 1)
            held = Held(blog.engine)
            with ThreadPoolExecutor(2) as pool, blog.engine.connect() as connection:
                connection.execute(text("UPDATE users SET name = 'x'"))
                leader = pool.submit(names, sessions)
                assert held.begun.wait(20)
                assert flights_of(cache) == 0
                held.release()
                assert leader.result() == ["x"] * 3
                connection.rollback()
            assert names(sessions) == ANSWER

    def test_what_is_asked_with_tags_is_another_flight(
        self, blog: Blog, cache: YokedCache, held: Held
    ) -> None:
        sessions = blog.attached(cache)
        with ThreadPoolExecutor(1) as pool, sessions() as session:
            leader = pool.submit(names, sessions)
            assert held.begun.wait(20)
            tagged = NAMES.options(FromCache(tags=["front"]))
            assert list(session.scalars(tagged)) == ANSWER
            held.release()
            assert leader.result() == ANSWER
        assert held.selects == 2


def test_in_a_greenlet_a_blocking_session_lets_the_loop_go_on(
    blog: Blog, cache: YokedCache, held: Held
) -> None:
    """
    A blocking session inside `run_sync` waits as its greenlet does.
    """
    sessions = blog.attached(cache)
    turns: list[int] = []

    async def story() -> list[str]:
        from sqlalchemy.util.concurrency import greenlet_spawn

        task = asyncio.create_task(greenlet_spawn(names, sessions))
        await until_async(lambda: waiting_for(cache) == 1)
        turns.append(1)
        held.release()
        return list(await within(task))

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(names, sessions)
        assert held.begun.wait(20)
        assert asyncio.run(story()) == ANSWER
        assert leader.result() == ANSWER
    assert turns == [1]
    assert held.selects == 1

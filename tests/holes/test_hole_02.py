"""
Hole 2: a waiter that began after a commit must not take a flight's older value.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

RENAME = update(User).where(User.id == 1).values(name="new")
NAME = select(User.name).where(User.id == 1)
CALLERS = 500


def test_hole_02_threads_that_come_after_a_commit_see_it(
    blog: Blog, cache: YokedCache
) -> None:
    runs: list[str] = []
    read, go_on = threading.Event(), threading.Event()

    @cached(cache=cache, ttl=60)
    def name() -> str:
        with blog.sessions() as session:
            found = session.scalars(NAME).one()
        runs.append(found)
        if len(runs) == 1:
            read.set()
            assert go_on.wait(30)
        return found

    with ThreadPoolExecutor(40) as pool:
        first = pool.submit(name)
        assert read.wait(30)
        early = [pool.submit(name) for _ in range(15)]
        with blog.sessions.begin() as session:
            session.execute(RENAME)
        late = [pool.submit(name) for _ in range(15)]
        seated(cache, 30)
        go_on.set()
        assert first.result() == "ann"
        assert {call.result() for call in early} <= {"ann", "new"}
        assert {call.result() for call in late} == {"new"}
    assert len(runs) <= 2 + 1


def seated(cache: YokedCache, number: int) -> None:
    """
    Return once that many callers wait for a flight.
    """
    waiting = cache.machine.terminal._waiting
    pause = threading.Event()
    for _ in range(20_000):
        if sum(map(len, list(waiting.values()))) >= number:
            return
        pause.wait(0.001)
    raise AssertionError("the callers never came to wait")


async def test_hole_02_tasks_that_come_after_a_commit_see_it(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    runs: list[str] = []
    read, go_on = asyncio.Event(), asyncio.Event()

    @cached(cache=cache, ttl=60)
    async def name() -> str:
        async with async_blog.sessions() as session:
            found = (await session.scalars(NAME)).one()
        runs.append(found)
        if len(runs) == 1:
            read.set()
            await go_on.wait()
        return found

    first = asyncio.create_task(name())
    await read.wait()
    early = [asyncio.create_task(name()) for _ in range(CALLERS // 2)]
    await asyncio.sleep(0)
    async with async_blog.sessions.begin() as session:
        await session.execute(RENAME)
    late = [asyncio.create_task(name()) for _ in range(CALLERS // 2)]
    await asyncio.sleep(0)
    go_on.set()
    assert await first == "ann"
    assert set(await asyncio.gather(*early)) <= {"ann", "new"}
    assert set(await asyncio.gather(*late)) == {"new"}
    assert runs == ["ann", "new"]


def test_hole_02_a_flight_inside_a_writing_transaction_serves_nobody_else(
    blog: Blog, cache: YokedCache
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    @cached(cache=cache, ttl=60)
    def name(session: Session) -> str:
        found = session.scalars(NAME).one()
        if found == "uncommitted":
            inside.set()
            assert go_on.wait(30)
        return found

    def write() -> str:
        with blog.sessions() as session:
            session.execute(update(User).values(name="uncommitted"))
            found = name(session)
            session.rollback()
            return found

    with ThreadPoolExecutor(2) as pool, blog.sessions() as session:
        writer = pool.submit(write)
        assert inside.wait(30)
        try:
            assert name(session) == "ann"
        finally:
            go_on.set()
        assert writer.result() == "uncommitted"
        session.rollback()
        assert name(session) == "ann"

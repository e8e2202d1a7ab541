"""
Hole 2 for statements: who began after a commit doesn't take an older flight's rows.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from tests.support.held import Held, until, until_async, waiting_for, within
from tests.support.models import User

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

pytestmark = pytest.mark.timeout(60)

RENAME = update(User).where(User.id == 1).values(name="new")
NAME = select(User.name).where(User.id == 1)


def name(sessions: sessionmaker[Session]) -> str:
    with sessions() as session:
        return session.scalars(NAME).one()


def test_hole_02_threads_that_ask_after_a_commit_see_it(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    held = Held(blog.engine)
    with ThreadPoolExecutor(100) as pool:
        leader = pool.submit(name, sessions)
        assert held.begun.wait(20)
        early = [pool.submit(name, sessions) for _ in range(40)]
        until(lambda: waiting_for(cache) == 40)
        with blog.sessions.begin() as session:
            session.execute(RENAME)
        late = [pool.submit(name, sessions) for _ in range(40)]
        until(lambda: waiting_for(cache) == 80)
        held.release()
        assert leader.result() == "ann"
        assert {call.result() for call in early} <= {"ann", "new"}
        assert {call.result() for call in late} == {"new"}
    assert held.selects == 2
    assert name(sessions) == "new"


async def test_hole_02_tasks_that_ask_after_a_commit_see_it(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    sessions = async_blog.attached(cache)
    held = Held(async_blog.engine.sync_engine)

    async def ask() -> Any:
        async with sessions() as session:
            return (await session.scalars(NAME)).one()

    leader = asyncio.create_task(ask())
    await until_async(held.begun.is_set)
    early = [asyncio.create_task(ask()) for _ in range(200)]
    await until_async(lambda: waiting_for(cache) == 200)
    async with async_blog.sessions.begin() as session:
        await session.execute(RENAME)
    late = [asyncio.create_task(ask()) for _ in range(200)]
    await until_async(lambda: waiting_for(cache) == 400)
    held.release()
    assert await within(leader) == "ann"
    assert set(await within(asyncio.gather(*early))) <= {"ann", "new"}
    assert set(await within(asyncio.gather(*late))) == {"new"}
    assert held.selects == 2


def test_hole_02_who_came_in_time_takes_what_a_commit_overtook(
    blog: Blog, cache: YokedCache
) -> None:
    """
    The leader reads late: whoever waited before it did may have what it read.
    """
    sessions = blog.attached(cache)
    gate = Held(blog.engine, nth=0)
    terminal = cache.machine.terminal
    taken_off = terminal.take_off

    def take_off(seat: Any) -> None:
        until(lambda: waiting_for(cache) == 20)
        taken_off(seat)
        terminal.take_off = taken_off  # type: ignore[method-assign]

    terminal.take_off = take_off  # type: ignore[method-assign]
    held = Held(blog.engine)
    with ThreadPoolExecutor(30) as pool:
        futures = [pool.submit(name, sessions) for _ in range(21)]
        assert held.begun.wait(20)
        with blog.sessions.begin() as session:
            session.execute(RENAME)
        held.release()
        assert {future.result() for future in futures} == {"ann"}
    assert gate.selects == 1
    assert cache.stats().total.refusals == {"changed_meanwhile": 1}
    assert name(sessions) == "new"


def test_hole_02_a_session_that_has_written_serves_nobody_else(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    with sessions() as session:
        session.execute(RENAME)
        held = Held(blog.engine)
        with ThreadPoolExecutor(2) as pool:
            reader = pool.submit(name, sessions)
            assert held.begun.wait(20)
            assert session.scalars(NAME).one() == "new"
            held.release()
            assert reader.result() == "ann"
        session.rollback()
    assert name(sessions) == "ann"

"""
Hole 14 on the event loop: async sessions that were answered, too, are as after a SELECT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import Session

from tests.holes.comparing import WARMTHS, cool
from tests.holes.reads import COLUMNS, FIRST, JOINED, SELECTIN, TELLING
from tests.holes.states import Run, difference, listen, session_of, shown
from tests.holes.steps import AFTER, BEFORE
from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache

pytestmark = pytest.mark.anyio


def heard(blog: AsyncBlog) -> tuple[async_sessionmaker[AsyncSession], list[str]]:
    """
    Make async sessions, and the list of what the blocking ones inside are told.
    """
    inner = type("Inner", (Session,), {})
    maker = async_sessionmaker(blog.engine, sync_session_class=inner)
    return maker, listen(inner)


async def in_its_greenlet(
    blog: AsyncBlog, maker: Any, told: list[str], steps: Sequence[Callable[[Any], Any]]
) -> Run:
    """
    Do steps in a session of its own, and undo them.
    """

    def do(session: Session) -> Run:
        run = Run(blog, session, told)
        for step in steps:
            run.step(step)
        session.rollback()
        return run

    async with maker() as session:
        return await session.run_sync(do)


@pytest.mark.parametrize(
    ("async_blog", "read"),
    [("aiosqlite", read) for read in TELLING]
    + [("asyncpg", TELLING[2]), ("asyncmy", TELLING[0])],
    indirect=["async_blog"],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_hole_14_in_the_greenlet_of_an_async_session(
    async_blog: AsyncBlog, clocked: YokedCache, read: Callable[[Any], Any]
) -> None:
    plain, heard_plain = heard(async_blog)
    maker, told = heard(async_blog)
    clocked.attach(maker)
    programs = [[read, step] for step in AFTER] + [[step, read] for step in BEFORE]
    for program in programs:
        expected = await in_its_greenlet(async_blog, plain, heard_plain, program)
        for way, times in WARMTHS.items():
            cool(clocked)
            for _ in range(times):
                await in_its_greenlet(async_blog, maker, told, [read])
            run = await in_its_greenlet(async_blog, maker, told, program)
            named = [step.__name__ for step in program]
            if program[0] is read:
                assert (run.asked[0] == 0) is (times > 0), (named, way)
            for mine, theirs in zip(run.trace, expected.trace, strict=True):
                assert difference(mine, theirs) is None, (named, way)


async def scalars(session: AsyncSession) -> Any:
    return (await session.scalars(FIRST)).all()


async def scalar(session: AsyncSession) -> Any:
    return await session.scalar(FIRST)


async def rows(session: AsyncSession) -> Any:
    return list(map(tuple, (await session.execute(COLUMNS)).all()))


async def joined(session: AsyncSession) -> Any:
    return (await session.execute(JOINED)).unique().scalars().all()


async def selectin(session: AsyncSession) -> Any:
    return (await session.scalars(SELECTIN)).all()


async def got(session: AsyncSession) -> Any:
    return await session.get(User, 1)


async def commit(session: AsyncSession) -> None:
    await session.commit()


async def rollback(session: AsyncSession) -> None:
    await session.rollback()


async def nested(session: AsyncSession) -> Any:
    user = await session.get_one(User, 2)
    async with session.begin_nested() as savepoint:
        user.name = "changed"
        await session.flush()
        await savepoint.rollback()
    return user


async def begin(session: AsyncSession) -> None:
    await session.begin()


async def add(session: AsyncSession) -> Any:
    fresh = Post(id=7, title="new", author_id=1)
    session.add(fresh)
    return fresh


async def change(session: AsyncSession) -> Any:
    user = await session.get_one(User, 1)
    user.name = "changed"
    return user


async def refresh(session: AsyncSession) -> Any:
    user = await session.get_one(User, 1)
    await session.refresh(user, ["posts"])
    return [user, *user.posts]


async def merge(session: AsyncSession) -> Any:
    return await session.merge(User(id=1, name="merged"))


async def delete(session: AsyncSession) -> Any:
    post = await session.get_one(Post, 11)
    await session.delete(post)
    await session.flush()
    return post


async def close(session: AsyncSession) -> None:
    await session.close()


async def reset(session: AsyncSession) -> None:
    await session.reset()


async def trace(maker: Any, steps: Sequence[Callable[[Any], Any]]) -> list[Any]:
    """
    Do steps, undo them, and give what was seen after each.
    """
    seen: list[Any] = []
    kept: list[Any] = []
    async with maker() as session:
        for step in steps:
            try:
                given = await step(session)
            except SQLAlchemyError as error:
                given = error
            kept.append(given)
            seen.append((shown(given), session_of(session.sync_session)))
        await session.rollback()
    return seen


TOLD = {"aiosqlite": None, "asyncpg": None, "psycopg": got, "asyncmy": selectin}
"""Drivers, and the one read of them that the gate has time for, if not for all."""


@pytest.mark.parametrize(
    ("async_blog", "read"),
    [
        pytest.param(
            driver,
            read,
            marks=pytest.mark.night if read is not told and told is not None else [],
        )
        for driver, told in TOLD.items()
        for read in (scalars, scalar, rows, joined, selectin, got)
    ],
    indirect=["async_blog"],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_hole_14_what_an_async_session_does_around_a_read(
    async_blog: AsyncBlog, clocked: YokedCache, read: Callable[[Any], Any]
) -> None:
    maker = async_blog.attached(clocked)
    after = (commit, rollback, nested, begin, add, change, refresh, merge, delete, close, reset, read)  # fmt: skip
    programs = [[read, step, read] for step in after] + [[add, read], [change, read]]
    for program in programs:
        expected = await trace(async_blog.sessions, program)
        for way, times in WARMTHS.items():
            cool(clocked)
            for _ in range(times):
                await trace(maker, [read])
            named = [step.__name__ for step in program]
            assert await trace(maker, program) == expected, (named, way)

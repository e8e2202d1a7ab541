"""
Hole 9 for async sessions, on every async driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.holes.renaming import TITLES
from tests.support.looking import NAME, name_async, rename_async
from yokedcache import cached

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["options", "text"])
def snapshots(
    request: pytest.FixtureRequest, async_blog: AsyncBlog, cache: YokedCache
) -> Snapshots:
    return Snapshots(async_blog, cache, by_text=request.param == "text")


class Snapshots:
    """
    Sessions that see snapshots, on SQLite by BEGIN.
    """

    def __init__(self, blog: AsyncBlog, cache: YokedCache, *, by_text: bool) -> None:
        sqlite = blog.engine.dialect.name == "sqlite"
        level = "ISOLATION LEVEL REPEATABLE READ"
        self._text = "BEGIN" if sqlite else f"SET TRANSACTION {level}"
        engine = blog.engine
        by_text = by_text and blog.engine.dialect.name == "postgresql"
        if not by_text and not sqlite:
            self._text = ""
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        self._maker = async_sessionmaker(engine)
        cache.attach(self._maker)

    async def begin(self) -> AsyncSession:
        session = self._maker()
        if self._text:
            await session.execute(text(self._text))
        await session.scalars(TITLES)
        return session


async def ask(session: Any) -> str:
    return str((await session.scalars(NAME)).one())


async def test_hole_09_a_snapshot_goes_on_and_publishes_nothing(
    async_blog: AsyncBlog, cache: YokedCache, snapshots: Snapshots
) -> None:
    plain = async_blog.attached(cache)
    assert await name_async(plain) == "ann"
    async with await snapshots.begin() as session:
        await rename_async(async_blog)
        assert await name_async(plain) == "new"
        assert await ask(session) == await ask(session) == "ann"
        assert await name_async(plain) == "new"
    async with await snapshots.begin() as session:
        assert await ask(session) == "new"


async def test_hole_09_a_snapshot_is_served_and_stores(
    async_blog: AsyncBlog, cache: YokedCache, snapshots: Snapshots
) -> None:
    async with await snapshots.begin() as session:
        assert await ask(session) == "ann"
    with async_blog.counted() as sent:
        assert await name_async(async_blog.attached(cache)) == "ann"
    assert not sent
    async with await snapshots.begin() as session:
        with async_blog.counted() as sent:
            assert await ask(session) == "ann"
        assert not sent


async def test_hole_09_a_function_handed_a_snapshot_goes_on_seeing_it(
    async_blog: AsyncBlog, cache: YokedCache, snapshots: Snapshots
) -> None:
    @cached(cache=cache, ttl=60)
    async def name_of(session: AsyncSession) -> str:
        return await ask(session)

    async with async_blog.sessions() as plain:
        assert await name_of(plain) == "ann"
    async with await snapshots.begin() as session:
        with async_blog.counted() as sent:
            assert await name_of(session) == "ann"
        assert not sent
        await rename_async(async_blog)
        assert await name_of(session) == "ann"
    async with async_blog.sessions() as plain:
        assert await name_of(plain) == "new"

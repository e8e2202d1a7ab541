"""
Hole 6 in the event loop: commits that are no `do_commit`, on every async driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.holes.asking import AsyncAsker
from tests.support.looking import RENAMING, RENAMING_TEXT
from tests.support.models import User

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache

# asyncpg looks for a password file
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("may_block")]


@pytest.fixture
async def ask(async_blog: AsyncBlog, cache: YokedCache) -> AsyncAsker:
    asker = AsyncAsker(async_blog, cache)
    assert await asker.served() == {"ann"}
    return asker


def automatic(blog: AsyncBlog) -> AsyncEngine:
    return blog.engine.execution_options(isolation_level="AUTOCOMMIT")


async def test_hole_06_text_that_commits(
    async_blog: AsyncBlog, ask: AsyncAsker
) -> None:
    async with async_blog.sessions() as session:
        (await session.get_one(User, 1)).name = "new"
        await session.flush()
        assert await ask() == {"ann"}
        await session.execute(text("COMMIT"))
        assert await ask() == {"new"}
        await session.rollback()
        assert await ask.served() == {"new"}
    async with async_blog.engine.connect() as connection:
        await connection.exec_driver_sql("UPDATE users SET name = 'newer' WHERE id = 1")
        assert await ask() == {"new"}
        await connection.exec_driver_sql("/* now */ commit")
        assert await ask() == {"newer"}
    assert await ask.served() == {"newer"}


async def test_hole_06_autocommit(async_blog: AsyncBlog, ask: AsyncAsker) -> None:
    async with automatic(async_blog).connect() as connection:
        await connection.execute(RENAMING)
        assert await ask.served() == {"new"}
        await connection.rollback()
        assert await ask.served() == {"new"}
    async with AsyncSession(automatic(async_blog)) as session:
        (await session.get_one(User, 1)).name = "newer"
        await session.flush()
        assert await ask() == {"newer"}
        await session.rollback()
    assert await ask.served() == {"newer"}


async def test_hole_06_begun_by_hand_in_autocommit_mode(
    async_blog: AsyncBlog, ask: AsyncAsker
) -> None:
    async with automatic(async_blog).connect() as connection:
        for end, seen in (("ROLLBACK", "ann"), ("COMMIT", "new")):
            await connection.exec_driver_sql("BEGIN")
            await connection.execute(RENAMING)
            assert await ask() == {"ann"}
            await connection.exec_driver_sql(end)
            assert await ask.served() == {seen}


@pytest.mark.parametrize(
    "async_blog", ["aiosqlite", "asyncpg", "psycopg"], indirect=True
)
async def test_hole_06_rows_of_a_write_in_autocommit_mode(
    async_blog: AsyncBlog, ask: AsyncAsker
) -> None:
    async with automatic(async_blog).connect() as connection:
        result = await connection.execute(RENAMING.returning(User.id))
        assert await ask() == {"new"}
        assert result.scalars().all() == [1]
    assert await ask.served() == {"new"}


@pytest.mark.parametrize("async_blog", ["aiosqlite"], indirect=True)
async def test_hole_06_release_of_the_outermost_savepoint(
    async_blog: AsyncBlog, ask: AsyncAsker
) -> None:
    async with async_blog.sessions() as session:
        async with session.begin_nested():
            await session.execute(RENAMING)
            assert await ask() == {"ann"}
        assert await ask() == {"new"}
        await session.rollback()
    assert await ask.served() == {"new"}


async def test_hole_06_a_drivers_own_connection(
    async_blog: AsyncBlog, ask: AsyncAsker
) -> None:
    async with async_blog.engine.begin() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        sending = driver.cursor() if async_blog.engine.driver == "asyncmy" else driver
        await sending.execute(RENAMING_TEXT)
    assert await ask() == {"new"}


async def test_hole_06_tags_invalidated_inside_a_transaction(
    async_blog: AsyncBlog, cache: YokedCache, ask: AsyncAsker
) -> None:
    async def filled() -> Any:
        if await cache.get("name") is None:  # by hand: nothing tells what was read
            (answer,) = await ask()
            await cache.set("name", answer, tags=["people"])
        return await cache.get("name")

    assert await filled() == "ann"
    async with async_blog.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await cache.invalidate_tags(["people"])
        assert await filled() == "ann"
        await connection.execute(RENAMING)
        await connection.commit()
    assert await filled() == "new"

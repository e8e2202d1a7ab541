"""
Hole 28: a temporary table shadows another of its name, for as long as it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import sessionmaker

from tests.support.databases import twin
from tests.support.looking import NAME, RENAMING, name

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

MAKING = text(
    "CREATE TEMPORARY TABLE users AS SELECT 1 AS id, 'temp' AS name, true AS active"
)


def test_hole_28_what_a_temporary_table_shadows_is_neither_served_nor_stored(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with blog.engine.connect() as connection, maker(bind=connection) as session:
        session.execute(MAKING)
        assert [session.scalar(NAME) for _ in range(3)] == ["temp"] * 3
        assert name(maker) == "ann"
        session.commit()  # the table stays
        assert [session.scalar(NAME) for _ in range(3)] == ["temp"] * 3
        assert name(maker) == "ann"
        connection.invalidate()
        session.rollback()
        assert session.scalar(NAME) == "ann"
    assert name(maker) == "ann"


def test_hole_28_whoever_gets_the_connection_next_stores_nothing(
    blog: Blog, cache: YokedCache
) -> None:
    """
    A pool hands the temporary table on; on another engine nothing of it is seen.
    """
    maker = blog.attached(cache)
    with maker() as session:
        session.execute(MAKING)
        session.commit()
    for _ in range(3):
        assert name(maker) == "temp"  # what an uncached session gets
    engine = twin(blog.engine)
    others = cache.attach(sessionmaker(engine))
    assert [name(others) for _ in range(3)] == ["ann"] * 3
    blog.engine.dispose()
    assert [name(maker) for _ in range(3)] == ["ann"] * 3
    with engine.begin() as connection:
        connection.execute(RENAMING)
    assert (name(others), name(maker)) == ("new", "new")
    engine.dispose()


@pytest.mark.anyio
async def test_hole_28_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)

    async def asked() -> Any:
        async with maker() as session:
            return await session.scalar(NAME)

    assert [await asked(), await asked()] == ["ann", "ann"]
    await async_blog.engine.dispose()  # asyncpg remembers what a name meant
    async with maker() as session:
        await session.execute(MAKING)
        assert [await session.scalar(NAME) for _ in range(2)] == ["temp"] * 2
        assert await asked() == "ann"
        await (await session.connection()).invalidate()
        await session.rollback()
    assert await asked() == "ann"

"""
Hole 37: an async driver's connection that is used where there is no greenlet.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import MissingGreenlet

from tests.support.looking import RENAMING, name_async

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache

pytestmark = pytest.mark.anyio


async def test_hole_37_a_commit_outside_a_greenlet_is_of_unknown_outcome(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)
    assert [await name_async(maker), await name_async(maker)] == ["ann", "ann"]
    async with async_blog.engine.connect() as connection:
        await connection.execute(RENAMING)
        with pytest.raises(MissingGreenlet):
            connection.sync_connection.commit()  # type: ignore[union-attr]
        assert [await name_async(maker), await name_async(maker)] == ["ann", "ann"]
        await connection.rollback()
    assert [await name_async(maker), await name_async(maker)] == ["ann", "ann"]
    with async_blog.counted() as sent:
        assert await name_async(maker) == "ann"
    assert sent == []
    async with async_blog.engine.begin() as connection:
        await connection.execute(RENAMING)
    assert await name_async(maker) == "new"


@pytest.mark.filterwarnings("ignore:The garbage collector")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("async_blog", ["aiosqlite", "asyncpg"], indirect=True)
async def test_hole_37_a_session_brought_back_as_garbage(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)
    assert [await name_async(maker), await name_async(maker)] == ["ann", "ann"]
    session = async_blog.sessions()
    await session.execute(RENAMING)
    del session
    gc.collect()
    assert [await name_async(maker) for _ in range(3)] == ["ann"] * 3
    with async_blog.counted() as sent:
        assert await name_async(maker) == "ann"
    assert sent == []

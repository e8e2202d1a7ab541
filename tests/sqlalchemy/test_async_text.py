"""
Statements written as text, through async sessions: a hit is a result like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache


async def test_text_is_answered_from_the_cache(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)
    query = text("SELECT id, name FROM users WHERE id = :id")
    for _ in range(3):
        async with maker() as session:
            assert (await session.execute(query, {"id": 1})).one() == (1, "ann")
            result = await session.execute(query, {"id": 2})
            assert result.mappings().all() == [{"id": 2, "name": "bob"}]
    assert cache.stats().total.hits == 4

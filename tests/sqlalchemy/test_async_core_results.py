"""
Hits of statements that aren't the ORM's, which async sessions close in a way of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, union_all

from tests.support.models import Post, User

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache

STATEMENTS = {
    "table": select(User.__table__.c.name).order_by(User.__table__.c.id),
    "text": text("SELECT name FROM users ORDER BY id"),
    "union": union_all(
        select(User.name), select(Post.title).where(Post.id == 0)
    ).order_by("name"),
}


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
@pytest.mark.parametrize("kind", STATEMENTS)
async def test_a_core_statement_is_answered_in_an_async_session(
    async_blog: AsyncBlog, cache: YokedCache, kind: str
) -> None:
    maker = async_blog.attached(cache)

    async def names() -> list[Any]:
        async with maker() as session:
            return [*(await session.execute(STATEMENTS[kind])).scalars()]

    assert await names() == ["ann", "bob", "eve"]
    with async_blog.counted() as sent:
        assert await names() == ["ann", "bob", "eve"]
        async with maker() as session:
            assert await session.scalar(STATEMENTS[kind]) == "ann"
    assert not sent

"""
Hole 14: `get` of what a session holds asks nobody and begins nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from tests.support.models import Post, User

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache


def test_hole_14_get_of_what_is_held_begins_nothing(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache, expire_on_commit=False)
    for _ in range(5):
        with maker() as session:
            user = session.get_one(User, 1)
            session.commit()
            assert session.get(User, 1) is user
            assert not session.in_transaction()
            with session.begin():
                pass


def test_hole_14_get_of_what_is_held_and_gone_from_the_database(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache, expire_on_commit=False)
    with maker() as holder:
        post = holder.get_one(Post, 11)
        holder.commit()
        with blog.engine.begin() as connection:
            connection.execute(delete(Post).where(Post.id == 11))
        for _ in range(5):
            with maker() as session:
                assert session.get(Post, 11) is None
        assert holder.get(Post, 11) is post


@pytest.mark.anyio
async def test_hole_14_get_of_what_an_async_session_holds(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache, expire_on_commit=False)
    for _ in range(5):
        async with maker() as session:
            user = await session.get_one(User, 1)
            await session.commit()
            assert await session.get(User, 1) is user
            assert not session.in_transaction()

"""
Hole 25: `commit()` of a dependency's session may be awaited, and nobody else's changes.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
from fastapi.encoders import jsonable_encoder
from sqlalchemy.orm import Session

from tests.support.looking import name
from tests.support.models import User
from yokedcache import cached_dependency

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache


def test_hole_25_one_constant_that_awaits_to_nothing(
    blog: Blog, cache: YokedCache
) -> None:
    def get_session() -> Iterator[Session]:
        with blog.sessions() as session:
            yield session

    dependency = cached_dependency(get_session, cache=cache)
    for session in dependency():
        session.get_one(User, 1).name = "new"
        done: object = session.commit()
        assert done is session.commit()
        assert not done
        assert repr(done) == "None"
        assert not inspect.iscoroutine(done)
        assert inspect.isawaitable(done)
        assert list(done.__await__()) == []
        assert jsonable_encoder(done) is None  # an endpoint may return it
        assert type(session) is blog.sessions.class_
    assert name(blog.sessions) == "new"


def test_hole_25_attached_sessions_commit_as_ever(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    with maker() as session:
        before = type(session).commit
        assert session.commit() is None  # type: ignore[func-returns-value]
        assert type(session).commit is before is Session.commit
    with blog.sessions() as session:
        cache.attach(session)
        assert session.commit() is None  # type: ignore[func-returns-value]


@pytest.mark.anyio
async def test_hole_25_async_sessions_commit_as_ever(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    async def get_session() -> AsyncIterator[AsyncSession]:
        async with async_blog.sessions() as session:
            yield session

    async for session in cached_dependency(get_session, cache=cache)():
        committing = session.commit()
        assert inspect.iscoroutine(committing)
        assert await committing is None

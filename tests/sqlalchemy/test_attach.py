"""
`cache.attach` and `cache.detach`: every kind of target, and what they refuse.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.support.models import Post, User
from yokedcache.errors import DeclarationError, DurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache
    from yokedcache.testing import FakeClock

NAMES = select(User.name).order_by(User.id)
TITLES = select(Post.title).order_by(Post.id)


def a_class(engine: Engine) -> tuple[Any, Callable[[], Session]]:
    class Own(Session):
        pass

    return Own, lambda: Own(engine)


def a_maker(engine: Engine) -> tuple[Any, Callable[[], Session]]:
    maker = sessionmaker(engine)
    return maker, maker


def a_maker_of_own(engine: Engine) -> tuple[Any, Callable[[], Session]]:
    own, _ = a_class(engine)
    maker = sessionmaker(engine, class_=own)
    return maker, maker


def a_scope(engine: Engine) -> tuple[Any, Callable[[], Session]]:
    scope = scoped_session(sessionmaker(engine))
    return scope, scope


def a_scope_in_use(engine: Engine) -> tuple[Any, Callable[[], Session]]:
    scope = scoped_session(sessionmaker(engine))
    scope()
    return scope, scope


def a_session(engine: Engine) -> tuple[Any, Callable[[], Session]]:
    session = Session(engine)
    return session, lambda: session


TARGETS = [a_class, a_maker, a_maker_of_own, a_scope, a_scope_in_use, a_session]


def second_needs_sql(blog: Blog, give: Callable[[], Session]) -> bool:
    for _ in range(2):
        with blog.counted() as sent:
            session = give()
            assert session.scalars(NAMES).all() == ["ann", "bob", "eve"]
            session.close()
    return bool(sent)


@pytest.mark.parametrize("make", TARGETS)
def test_a_target_is_attached_and_detached(
    blog: Blog, cache: YokedCache, make: Callable[[Engine], Any]
) -> None:
    target, give = make(blog.engine)
    assert cache.attach(target) is target
    assert not second_needs_sql(blog, give)
    assert second_needs_sql(blog, blog.sessions)
    cache.detach(target)
    assert second_needs_sql(blog, give)
    cache.detach(target)
    assert second_needs_sql(blog, give)


def an_async_class(engine: AsyncEngine) -> tuple[Any, Callable[[], Any]]:
    class Own(AsyncSession):
        pass

    return Own, lambda: Own(engine)


def an_async_maker(engine: AsyncEngine) -> tuple[Any, Callable[[], Any]]:
    maker = async_sessionmaker(engine)
    return maker, maker


def an_async_maker_over_own(engine: AsyncEngine) -> tuple[Any, Callable[[], Any]]:
    class Inner(Session):
        pass

    maker = async_sessionmaker(engine, sync_session_class=Inner)
    return maker, maker


def an_async_scope(engine: AsyncEngine) -> tuple[Any, Callable[[], Any]]:
    scope = async_scoped_session(
        async_sessionmaker(engine), scopefunc=asyncio.current_task
    )
    return scope, scope


def an_async_session(engine: AsyncEngine) -> tuple[Any, Callable[[], Any]]:
    session = AsyncSession(engine)
    return session, lambda: session


ASYNC_TARGETS = [
    an_async_class,
    an_async_maker,
    an_async_maker_over_own,
    an_async_scope,
    an_async_session,
]


@pytest.mark.parametrize("make", ASYNC_TARGETS)
async def test_an_async_target_is_attached_and_detached(
    async_blog: AsyncBlog, cache: YokedCache, make: Callable[[AsyncEngine], Any]
) -> None:
    async def second_needs_sql(give: Callable[[], Any]) -> bool:
        for _ in range(2):
            with async_blog.counted() as sent:
                session = give()
                assert (await session.scalars(NAMES)).all() == ["ann", "bob", "eve"]
                await session.close()
        return bool(sent)

    target, give = make(async_blog.engine)
    assert cache.attach(target) is target
    assert not await second_needs_sql(give)
    assert await second_needs_sql(async_blog.sessions)
    cache.detach(target)
    assert await second_needs_sql(give)


def test_tables_say_what_is_cached(blog: Blog, cache: YokedCache) -> None:
    sessions = blog.attached(cache, tables=["other.Posts"])
    for _ in range(2):
        with blog.counted() as sent, sessions() as session:
            session.scalars(TITLES).all()
            session.scalars(NAMES).all()
    assert len(sent) == 1
    assert cache.stats().total.bypasses == {"other_tables": 2}


def test_ttl_says_how_long(blog: Blog, clocked: YokedCache, clock: FakeClock) -> None:
    sessions = blog.attached(clocked, ttl="10s")

    def sent() -> int:
        with blog.counted() as sent, sessions() as session:
            session.scalars(NAMES).all()
        return len(sent)

    assert [sent(), sent()] == [1, 0]
    clock.advance(11)
    assert sent() == 1


@pytest.mark.parametrize("short", [{"ttl": "10s"}, {}])
def test_nobody_gets_an_answer_older_than_his_own_ttl(
    blog: Blog,
    clocked: YokedCache,
    clock: FakeClock,
    short: dict[str, Any],
) -> None:
    patient = blog.attached(clocked, ttl="1h")
    hasty = blog.attached(clocked, **short)

    def sent(maker: Callable[[], Session]) -> int:
        with blog.counted() as sent, maker() as session:
            session.scalars(select(User).where(User.id == 1)).one()
        return len(sent)

    assert [sent(m) for m in (patient, patient, hasty, hasty)] == [1, 0, 0, 0]
    clock.advance(301)
    assert sent(patient) == 0
    with hasty() as session:
        told = clocked.explain(select(User).where(User.id == 1), session=session)
    assert (told.served, told.reason) == (False, "older than the TTL asked for")
    assert sent(hasty) == 1


def test_a_detached_scope_forgets_its_open_session_too(
    blog: Blog, cache: YokedCache
) -> None:
    scope = scoped_session(sessionmaker(blog.engine))
    cache.attach(scope)
    session = scope()
    cache.detach(scope)
    assert second_needs_sql(blog, lambda: session)
    scope.remove()


@pytest.mark.parametrize("target", [object(), None, 3, len])
def test_what_makes_no_sessions_is_refused(cache: YokedCache, target: object) -> None:
    with pytest.raises(DeclarationError, match="can't cache the statements of"):
        cache.attach(target)


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"ttl": -1}, DurationError),
        ({"ttl": "soon"}, DurationError),
        ({"tables": []}, DeclarationError),
        ({"tables": 3}, DeclarationError),
        ({"tables": [3]}, DeclarationError),
        ({"table": "posts"}, UsageError),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    cache: YokedCache, option: dict[str, Any], error: type[UsageError]
) -> None:
    maker = sessionmaker()
    with pytest.raises(error):
        cache.attach(maker, **option)

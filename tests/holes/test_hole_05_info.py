"""
Hole 5: a function's key knows nothing of a session that it chose by itself.

What an application keeps in a session's `info` is part of the key if a call is handed
the session. A function may get at one otherwise, and answer by what its `info` says.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

current: contextvars.ContextVar[Any] = contextvars.ContextVar("current")
ORDER = ("ann", "ann", "bob", "bob", "ann")
ALL = ["ann", "bob", "eve"]
NAMES = select(User.name).order_by(User.id)


def greeting(session: Session) -> tuple[str, ...]:
    return (session.info["user"], *session.scalars(NAMES))


@pytest.fixture(params=[True, False], ids=["attached", "bare"])
def sessions(request: pytest.FixtureRequest, any_blog: Blog, cache: YokedCache) -> Any:
    return any_blog.attached(cache) if request.param else any_blog.sessions


def each(sessions: Any, ask: Callable[[], Any]) -> None:
    for user in ORDER:
        with sessions(info={"user": user}) as session:
            current.set(session)
            assert ask() == (user, *ALL)


def test_hole_05_what_a_session_at_large_holds_is_in_no_key(
    sessions: Any, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def shown() -> tuple[str, ...]:
        return greeting(current.get())

    each(sessions, shown)
    assert cache.stats().total.refusals["session_info"] == len(ORDER)


def test_hole_05_what_a_session_at_large_gives_out_of_its_memory_is_neither(
    sessions: Any, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def shown() -> tuple[str, str]:
        session = current.get()
        return session.info["user"], session.get(User, 1).name

    for user in ORDER:
        with sessions(info={"user": user}) as session:
            assert session.get(User, 1).name == "ann"
            current.set(session)
            assert shown() == (user, "ann")


def test_hole_05_a_function_that_hands_such_a_session_on_is_not_stored(
    sessions: Any, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def handed(session: Session) -> tuple[str, ...]:
        return greeting(session)

    @cached(cache=cache)
    def shown() -> tuple[str, ...]:
        return handed(current.get())

    each(sessions, shown)
    assert cache.stats().total.refusals["session_info"] == len(ORDER)
    assert cache.stats().total.hits >= len(ORDER) - 2


def test_hole_05_what_varies_by_its_own_word_is_stored(
    sessions: Any, cache: YokedCache
) -> None:
    @cached(cache=cache, vary=lambda: current.get().info["user"])
    def shown() -> tuple[str, ...]:
        return greeting(current.get())

    each(sessions, shown)
    assert cache.stats().total.hits >= len(ORDER) - 2


@pytest.mark.parametrize("info", [{}, {"logger": None, 1: object}, {"user": "ann"}])
def test_hole_05_sessions_of_its_own_may_hold_what_they_will(
    sessions: Any, cache: YokedCache, info: Any
) -> None:
    @cached(cache=cache)
    def handed(session: Session) -> list[str]:
        return list(session.scalars(NAMES))

    @cached(cache=cache)
    def shown() -> list[str]:
        with sessions(info=info) as session:
            return handed(session)

    assert [shown() for _ in range(3)] == [ALL] * 3
    assert cache.stats().total.hits == 2


async def test_hole_05_what_an_async_session_at_large_holds_is_in_no_key(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    @cached(cache=cache)
    async def shown() -> tuple[str, ...]:
        session: AsyncSession = current.get()
        return (session.info["user"], *await session.scalars(NAMES))

    for user in ORDER:
        async with async_blog.attached(cache)(info={"user": user}) as session:
            current.set(session)
            assert await shown() == (user, *ALL)
    assert cache.stats().total.refusals["session_info"] == len(ORDER)

"""
Hole 5: a function's key knows nothing of the filters that listeners add.
"""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Query, Session, with_loader_criteria

from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache
    from yokedcache.testing import FakeClock

tenant = contextvars.ContextVar("tenant", default="ann")
ORDER = ("ann", "ann", "ann", "bob", "bob", "ann", "bob")


class Filtered(Session):
    """
    A session class of the test's own, so that its listeners go with it.
    """


def by_context(session: Any) -> str:
    return tenant.get()


def by_info(session: Any) -> str:
    return str(session.info["tenant"])


SOURCES = pytest.mark.parametrize("source", [by_context, by_info])


def filtering(source: Callable[[Any], str]) -> Callable[[Any], None]:
    def only_own(state: Any) -> None:
        criteria = with_loader_criteria(User, User.name == source(state.session))
        state.statement = state.statement.options(criteria)

    return only_own


@pytest.fixture(params=[by_context, by_info])
def listening(request: pytest.FixtureRequest) -> Iterator[type[Session]]:
    listener = filtering(request.param)
    event.listen(Filtered, "do_orm_execute", listener)
    yield Filtered
    event.remove(Filtered, "do_orm_execute", listener)


def names(session: Session) -> list[str]:
    return [user.name for user in session.scalars(select(User).order_by(User.id))]


def each(ask: Callable[[], list[str]]) -> None:
    for name in ORDER:
        tenant.set(name)
        assert ask() == [name]


def test_hole_05_statements_are_right_under_filters_of_listeners(
    any_blog: Blog, cache: YokedCache, listening: type[Session]
) -> None:
    sessions = any_blog.attached(cache, class_=listening)

    def ask() -> list[str]:
        with sessions(info={"tenant": tenant.get()}) as session:
            return names(session)

    with any_blog.counted() as sent:
        each(ask)
    assert len(sent) == 2


@pytest.mark.parametrize("attached", [{}, {"vary": None}, {"vary": by_context}])
def test_hole_05_functions_above_filters_are_not_stored(
    any_blog: Blog, cache: YokedCache, listening: type[Session], attached: Any
) -> None:
    sessions = any_blog.attached(cache, class_=listening, **attached)

    @cached(cache=cache)
    def opens() -> list[str]:
        with sessions(info={"tenant": tenant.get()}) as session:
            return names(session)

    @cached(cache=cache)
    def handed(session: Session) -> list[str]:
        return names(session)

    def ask() -> list[str]:
        with sessions(info={"tenant": tenant.get()}) as session:
            return handed(session)

    each(opens)
    each(ask)
    assert "listeners" in cache.stats().total.refusals


def test_hole_05_functions_above_filters_are_stored_with_vary(
    any_blog: Blog, cache: YokedCache, listening: type[Session]
) -> None:
    sessions = any_blog.attached(cache, class_=listening)
    ran: list[str] = []

    @cached(cache=cache, vary=tenant.get)
    def ask() -> list[str]:
        ran.append(tenant.get())
        with sessions(info={"tenant": tenant.get()}) as session:
            return names(session)

    each(ask)
    assert ran == ["ann", "bob"]


def test_hole_05_a_function_above_one_that_varies_varies_too(
    any_blog: Blog, cache: YokedCache, listening: type[Session]
) -> None:
    sessions = any_blog.attached(cache, class_=listening)

    @cached(cache=cache, vary=tenant.get)
    def inner() -> list[str]:
        with sessions(info={"tenant": tenant.get()}) as session:
            return names(session)

    @cached(cache=cache)
    def outer() -> list[str]:
        return inner()

    each(outer)
    assert cache.stats().total.refusals["unvaried"] == len(ORDER)


def test_hole_05_a_function_that_varies_is_renewed_in_its_callers_context(
    clocked: YokedCache, clock: FakeClock
) -> None:
    @cached(cache=clocked, ttl=60, stale="1h", vary=tenant.get)
    def who() -> list[str]:
        return [tenant.get()]

    each(who)
    clock.advance(61)
    each(who)
    for thread in threading.enumerate():
        if thread.name == "yokedcache-refresh":
            thread.join()
    each(who)


@pytest.mark.parametrize("attached", [{}, {"vary": None}])
def test_hole_05_queries_rewritten_before_they_are_compiled(
    any_blog: Blog, cache: YokedCache, attached: Any
) -> None:
    class Own(Query[Any]):
        pass

    @event.listens_for(Own, "before_compile", retval=True)
    def only_own(query: Any) -> Any:
        return query.enable_assertions(False).filter(User.name == tenant.get())

    sessions = any_blog.attached(cache, query_cls=Own, **attached)

    def plainly() -> list[str]:
        with sessions() as session:
            return [user.name for user in session.query(User).order_by(User.id)]

    function = cached(cache=cache)(plainly)
    with any_blog.counted() as sent:
        each(plainly)
    assert len(sent) == 2
    each(function)
    assert "listeners" in cache.stats().total.refusals


async def test_hole_05_functions_above_filters_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache, listening: type[Session]
) -> None:
    sessions = async_blog.attached(cache, sync_session_class=listening)

    async def load(session: AsyncSession) -> list[str]:
        found = await session.scalars(select(User).order_by(User.id))
        return [user.name for user in found]

    @cached(cache=cache)
    async def careless() -> list[str]:
        async with sessions(info={"tenant": tenant.get()}) as session:
            return await load(session)

    @cached(cache=cache, vary=tenant.get)
    async def careful() -> list[str]:
        async with sessions(info={"tenant": tenant.get()}) as session:
            return await load(session)

    for name in ORDER:
        tenant.set(name)
        assert await careless() == await careful() == [name]
    assert cache.stats().total.hits

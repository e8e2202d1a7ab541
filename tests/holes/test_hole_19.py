"""
Hole 19: options that serve old answers stretch time, never validity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from tests.support.models import Post, User
from yokedcache import cached

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache
    from yokedcache.testing import FakeClock

OPTIONS: dict[str, dict[str, Any]] = {
    "stale": {"stale": "1h"},
    "stale_on_error": {"stale_on_error": "1h"},
    "early": {"early": 100.0},
    "all": {"stale": "1h", "stale_on_error": "1h", "early": 100.0},
}


def _rename(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "new"


@pytest.mark.parametrize("past", [0, 70])
@pytest.mark.parametrize("name", OPTIONS)
def test_hole_19_no_option_serves_what_a_commit_changed(
    blog: Blog, clocked: YokedCache, clock: FakeClock, name: str, past: float
) -> None:
    @cached(cache=clocked, ttl=60, **OPTIONS[name])
    def called() -> Any:
        with blog.sessions() as session:
            return session.scalar(select(User.name).where(User.id == 1))

    assert called() == "ann"
    clock.advance(past)
    _rename(blog)
    assert called() == "new"
    assert called() == "new"


@pytest.mark.parametrize("name", ["stale_on_error", "all"])
def test_hole_19_an_error_after_a_commit_is_raised(
    blog: Blog, clocked: YokedCache, clock: FakeClock, name: str
) -> None:
    broken = False

    @cached(cache=clocked, ttl=60, **OPTIONS[name])
    def called() -> Any:
        with blog.sessions() as session:
            found = session.scalar(select(User.name).where(User.id == 1))
        if broken:
            raise OSError("down")
        return found

    assert called() == "ann"
    broken = True
    clock.advance(70)
    assert called() == "ann"
    _rename(blog)
    with pytest.raises(OSError, match="down"):
        called()


def test_hole_19_under_a_fence_nothing_old_is_served(
    blog: Blog, clocked: YokedCache, clock: FakeClock
) -> None:
    """
    The writer's own commit asks in its midst, where a fence is up.
    """
    asked: list[Any] = []

    @cached(cache=clocked, ttl=60, stale="1h", stale_on_error="1h")
    def called() -> int:
        asked.append(1)
        with blog.sessions() as session:
            return session.scalar(select(func.count(User.id))) or 0

    called()
    clock.advance(70)
    machine = clocked.machine
    names = [name for name in machine.store.names() if name.startswith("table:users")]
    fence = machine.store.fence(names)
    called()
    called()
    assert len(asked) == 3
    machine.store.lift(fence)


def test_hole_19_a_cached_exception_ends_with_a_commit(
    blog: Blog, clocked: YokedCache
) -> None:
    @cached(cache=clocked, errors={LookupError: "1h"})
    def find(title: str) -> Any:
        with blog.sessions() as session:
            found = session.scalar(select(Post.id).where(Post.title == title))
        if found is None:
            raise LookupError(title)
        return found

    for _ in range(2):
        with pytest.raises(LookupError):
            find("new")
    assert clocked.stats().total.hits == 1
    with blog.sessions.begin() as session:
        session.get_one(Post, 11).title = "new"
    assert find("new") == 11


def test_hole_19_a_call_that_holds_a_session_renews_by_itself(
    blog: Blog, clocked: YokedCache, clock: FakeClock
) -> None:
    """
    The session is the request's: a thread of ours must not use it.
    """
    import threading

    ran_in: list[int] = []

    @cached(cache=clocked, ttl=60, stale="1h")
    def called(session: Any) -> Any:
        ran_in.append(threading.get_ident())
        return session.scalar(select(func.count(User.id)))

    for _ in range(2):
        with blog.sessions() as session:
            assert called(session) == 3
        clock.advance(70)
    with blog.sessions() as session:
        assert called(session) == 3
    assert set(ran_in) == {threading.get_ident()}
    assert len(ran_in) == 3


def test_hole_19_an_inner_stale_answer_is_not_kept_outside(
    blog: Blog, clocked: YokedCache, clock: FakeClock
) -> None:
    """
    An outer function lives by its own TTL, and still by what the inner one depends on.
    """

    @cached(cache=clocked, ttl=60, stale="1h")
    def inner(session: Any = None) -> Any:
        with blog.sessions() as own:
            return own.scalar(select(User.name).where(User.id == 1))

    @cached(cache=clocked, ttl=60)
    def outer() -> Any:
        return inner()

    inner()
    clock.advance(70)
    assert outer() == "ann"
    _rename(blog)
    assert outer() == "new"

"""
Hole 4: listeners that come late, and engines that differ by nothing but listeners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session, sessionmaker

from tests.support.databases import twin
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache

NAMES = select(User.name).order_by(User.id)
ALL = ["ann", "bob", "eve"]


def names(session: Session) -> list[str]:
    return list(session.scalars(NAMES))


def test_hole_04_a_listener_that_comes_late(blog: Blog, cache: YokedCache) -> None:
    sessions = blog.attached(cache)

    @cached(cache=cache)
    def everybody() -> list[str]:
        with sessions() as session:
            return names(session)

    for _ in range(3):
        assert everybody() == ALL
    with sessions() as session:
        assert names(session) == ALL

    @event.listens_for(blog.engine, "before_cursor_execute", retval=True)
    def own(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> Any:
        return sql.replace("ORDER BY", "WHERE users.name = 'bob' ORDER BY"), values

    for _ in range(3):
        assert everybody() == ["bob"]
        with sessions() as session:
            assert names(session) == ["bob"]
    event.remove(blog.engine, "before_cursor_execute", own)
    assert everybody() == ALL


@pytest.mark.parametrize("vary", [None, "same"])
def test_hole_04_engines_that_differ_by_their_listeners_share_no_answers(
    blog: Blog, cache: YokedCache, vary: Any
) -> None:
    other = twin(blog.engine)

    @event.listens_for(other, "before_cursor_execute", retval=True)
    def own(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> Any:
        return sql.replace("ORDER BY", "WHERE users.name = 'bob' ORDER BY"), values

    plain = blog.attached(cache, vary=vary)
    filtered = cache.attach(sessionmaker(other), vary=vary)
    for _ in range(4):
        with plain() as session:
            assert names(session) == ALL
        with filtered() as session:
            assert names(session) == ["bob"]
    assert cache.stats().total.hits == 5
    other.dispose()

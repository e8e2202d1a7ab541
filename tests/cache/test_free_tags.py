"""
A tag is not the table of its name; who mixes them up is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from tests.support.models import User
from yokedcache import cached, machine

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache


@pytest.fixture(autouse=True)
def unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Forget the tags of other tests.
    """
    monkeypatch.setattr(machine, "_used", set())


def test_invalidating_a_table_by_its_bare_name(
    any_blog: Blog, cache: YokedCache, said: pytest.LogCaptureFixture
) -> None:
    @cached(cache=cache)
    def count() -> int | None:
        with any_blog.sessions() as session:
            return session.scalar(select(func.count(User.id)))

    count()
    for _ in range(2):
        cache.sync.invalidate_tags(["users", "nothing"])
    (line,) = said.messages
    assert "'table:users'" in line
    assert count.peek() == 3
    cache.sync.invalidate_tags("table:users")
    assert not count.peek()
    assert said.messages == [line]


def test_a_tag_that_is_in_use_is_meant(
    any_blog: Blog, cache: YokedCache, said: pytest.LogCaptureFixture
) -> None:
    @cached(cache=cache)
    def count() -> int | None:
        with any_blog.sessions() as session:
            return session.scalar(select(func.count(User.id)))

    @cached(cache=cache, tags=["posts"])
    def tagged() -> int:
        return 1

    count()
    cache.sync.invalidate_tags("posts")
    assert not said.messages
    assert tagged() == 1

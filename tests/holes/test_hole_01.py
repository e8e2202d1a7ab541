"""
Hole 1: a cached function must not store what an identity map holds.

The session read its instances earlier than the function began, so a commit in
between is in none of the statements that the function runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from tests.support.models import Post, User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from tests.support.databases import Blog
    from yokedcache import YokedCache


def by_select(session: Session) -> dict[str, str]:
    return {"name": session.scalars(select(User).where(User.id == 1)).one().name}


def by_get(session: Session) -> dict[str, str]:
    return {"name": session.get_one(User, 1).name}


def by_relation(session: Session) -> dict[str, str]:
    return {"name": session.get_one(Post, 11).author.name}


READS = [by_select, by_get, by_relation]


def rename(blog: Blog, name: str) -> None:
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = name


@pytest.mark.parametrize("attached", [False, True], ids=["plain", "attached"])
@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)
def test_hole_01_what_a_session_read_before_is_not_stored(
    blog: Blog,
    cache: YokedCache,
    read: Callable[[Session], dict[str, str]],
    attached: bool,
) -> None:
    find = cached(cache=cache, ttl=60)(read)
    sessions = blog.attached(cache) if attached else blog.sessions
    with sessions() as session:
        warm = session.get_one(User, 1), session.get_one(Post, 11)
        rename(blog, "new")
        assert find(session) == {"name": "ann"}
        assert warm
    with sessions() as session:
        assert find(session) == {"name": "new"}
    rename(blog, "newest")
    with sessions() as session:
        assert find(session) == {"name": "newest"}


@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)
def test_hole_01_a_session_that_is_up_to_date_is_no_obstacle(
    blog: Blog, cache: YokedCache, read: Callable[[Session], dict[str, str]]
) -> None:
    find = cached(cache=cache, ttl=60)(read)
    with blog.sessions() as session:
        warm = session.get_one(User, 1), session.get_one(Post, 11)
        assert find(session) == {"name": "ann"}
        assert warm
    with blog.counted() as sent, blog.sessions() as session:
        assert find(session) == {"name": "ann"}
    assert sent == []
    rename(blog, "new")
    with blog.sessions() as session:
        assert find(session) == {"name": "new"}


@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)
def test_hole_01_what_is_dirty_is_not_stored(
    any_blog: Blog, cache: YokedCache, read: Callable[[Session], dict[str, str]]
) -> None:
    find = cached(cache=cache, ttl=60)(read)
    with any_blog.sessions(autoflush=False) as session:
        ann = session.get_one(User, 1)
        ann.name = "dirty"
        assert find(session) == {"name": "dirty"}
        session.rollback()
    with any_blog.sessions() as session:
        assert find(session) == {"name": "ann"}


def test_hole_01_attributes_of_arguments_are_of_their_session(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60, key="{user.id}")
    def describe(user: User) -> str:
        return f"a user named {user.name}"

    with blog.sessions() as session:
        ann = session.get_one(User, 1)
        rename(blog, "new")
        assert describe(ann) == "a user named ann"
    with blog.sessions() as session:
        assert describe(session.get_one(User, 1)) == "a user named new"
    with blog.sessions() as session:
        ann = session.get_one(User, 1)
        ann.name = "dirty"
        assert describe(ann) == "a user named dirty"
        session.rollback()
        assert describe(session.get_one(User, 1)) == "a user named new"


def test_hole_01_a_session_in_use_nearby_counts(blog: Blog, cache: YokedCache) -> None:
    current: list[Any] = []

    @cached(cache=cache, ttl=60)
    def name() -> str:
        return current[-1].get_one(User, 1).name  # type: ignore[no-any-return]

    with blog.sessions() as session:
        current.append(session)
        warm = session.get_one(User, 1)
        rename(blog, "new")
        assert name() == "ann"
        assert warm
    with blog.sessions() as session:
        current.append(session)
        assert name() == "new"


def test_hole_01_a_function_that_read_nothing_depends_on_time_alone(
    cache: YokedCache,
) -> None:
    @cached(cache=cache, ttl=60)
    def constant() -> int:
        return 1

    constant()
    assert "depends on: time alone" in str(cache.explain(constant))

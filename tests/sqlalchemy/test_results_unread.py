"""
A result from the cache loads when it is fetched, as a result of the database does.

However the hit is played: from rows, from a template, or by the short way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import joinedload, subqueryload

from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session, sessionmaker

    from tests.support.databases import Blog
    from yokedcache import YokedCache

# what a session was given stays visible in it
pytestmark = pytest.mark.usefixtures("no_cycles_are_freed")

PLAIN = select(User).order_by(User.id)
ROUND = (
    select(Post)
    .options(joinedload(Post.author).joinedload(User.posts))
    .order_by(Post.id)
)


@pytest.fixture(params=["cached", "plain"])
def maker(
    request: pytest.FixtureRequest, blog: Blog, cache: YokedCache
) -> sessionmaker[Session]:
    """
    Give a maker of sessions; what holds with a cache holds without.
    """
    return blog.attached(cache) if request.param == "cached" else blog.sessions


def ways(maker: sessionmaker[Session], statement: Any) -> Iterator[Session]:
    """
    Give sessions in which a statement is a miss first, and then a hit of each kind.
    """
    for _ in range(5):
        with maker() as session:
            yield session
        with maker() as session:
            session.execute(statement).unique().all()


def first_unread(session: Session, statement: Any) -> Any:
    """
    Execute, and take nothing yet.
    """
    return session.execute(statement).unique()


@pytest.mark.parametrize("statement", [PLAIN, ROUND], ids=["plain", "round"])
@pytest.mark.parametrize(
    "leave", [lambda _: None, lambda r: r.close()], ids=["left", "closed"]
)
def test_what_is_not_fetched_is_not_loaded(
    maker: sessionmaker[Session], statement: Any, leave: Callable[[Any], None]
) -> None:
    for session in ways(maker, statement):
        result = first_unread(session, statement)
        assert not session.identity_map
        leave(result)
        assert not session.identity_map


def test_an_instance_loaded_before_the_fetch_is_the_one_given(
    maker: sessionmaker[Session],
) -> None:
    for session in ways(maker, PLAIN):
        result = session.execute(PLAIN)
        user = session.get_one(User, 2)
        user.name = "mine"
        assert [found.name for found in result.scalars()] == ["ann", "mine", "eve"]
        assert user in session.dirty


def test_rows_fetched_in_parts_are_loaded_in_parts(
    maker: sessionmaker[Session],
) -> None:
    for session in ways(maker, PLAIN):
        parts = session.execute(PLAIN).yield_per(2).scalars().partitions()
        first = next(parts)
        assert [user.name for user in first] == ["ann", "bob"]
        assert len(session.identity_map) == 2
        assert [user.name for user in next(parts)] == ["eve"]
        assert next(parts, None) is None


def test_no_rows_can_be_fetched_in_parts_whatever_would_be_loaded_with_them(
    maker: sessionmaker[Session],
) -> None:
    nobody = select(User).where(User.id == 99).options(subqueryload(User.posts))
    for session in ways(maker, nobody):
        assert list(session.execute(nobody).yield_per(2).partitions()) == []


def test_fetching_after_the_session_closed_says_so(
    maker: sessionmaker[Session],
) -> None:
    for session in ways(maker, PLAIN):
        result = session.execute(PLAIN)
        try:
            session.close()
            with pytest.raises(InvalidRequestError, match=r"closed|no longer valid"):
                result.all()
        finally:
            result.close()


def test_a_result_is_of_when_it_was_executed(blog: Blog, cache: YokedCache) -> None:
    maker = blog.attached(cache)
    for session in ways(maker, PLAIN):
        result = session.execute(PLAIN)
        session.get_one(User, 1)
        with blog.engine.connect() as connection:
            connection.execute(update(User).values(name="x"))
            connection.rollback()
        assert [user.name for user in result.scalars()] == ["ann", "bob", "eve"]

"""
How the tests of snapshots read and write the one name that they are about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from tests.support.databases import Statements
from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

NAME = select(User.name).where(User.id == 1)
TITLES = select(Post.title).order_by(Post.id)


def name(maker: Any) -> str:
    """
    Read the name in a session of its own.
    """
    with maker() as session:
        return str(session.scalars(NAME).one())


def rename(blog: Blog, to: str = "new") -> None:
    """
    Give the user another name, and commit.
    """
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = to


async def name_async(maker: Any) -> str:
    """
    Read the name in an async session of its own.
    """
    async with maker() as session:
        return str((await session.scalars(NAME)).one())


async def rename_async(blog: AsyncBlog, to: str = "new") -> None:
    """
    Give the user another name, and commit.
    """
    async with blog.sessions.begin() as session:
        (await session.get_one(User, 1)).name = to


def stays_one_state(
    blog: Blog,
    cache: YokedCache,
    maker: Any,
    begin: Callable[[Any], Any] = lambda session: None,
) -> None:
    """
    Check that a transaction of `maker` goes on seeing what it saw, and it alone.
    """
    plain = blog.attached(cache)
    assert name(plain) == "ann"
    with maker() as session:
        begin(session)
        session.scalars(TITLES).all()  # makes the snapshot
        rename(blog)
        assert name(plain) == "new"
        for _ in range(2):
            assert session.scalars(NAME).one() == "ann"
        assert name(plain) == "new"
        session.rollback()
    assert name(plain) == name(maker) == "new"


def is_served(cache: YokedCache, maker: Any, begin: Any = lambda session: None) -> None:
    """
    Check that a transaction of `maker` is served what didn't change meanwhile.
    """
    for _ in range(2):  # the first one fills
        with maker() as session:
            begin(session)
            session.scalars(TITLES).all()  # makes the snapshot
            with Statements(maker.kw["bind"]).counted() as sent:
                assert session.scalars(NAME).one() == "ann"
    assert not sent
    assert reasons(cache).get("snapshot", 0) == 0


def reasons(cache: YokedCache) -> dict[str, int]:
    """
    Give how often statements were bypassed or refused, by reason.
    """
    counts = cache.stats().by_name["statements"]
    return {**counts.bypasses, **counts.refusals}

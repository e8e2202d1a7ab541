"""
What the tests of snapshots check of the one name that they are about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from tests.support.databases import Statements
from tests.support.looking import NAME, name, rename
from tests.support.models import Post

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import Blog
    from yokedcache import YokedCache

TITLES = select(Post.title).order_by(Post.id)


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

"""
What is loaded from a template in the middle of another load is told to its loaders.

Found by a random program: `python -m tests.differential sqlite sync 2026112700632`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import immediateload

from tests.support.models import Post, User

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache


@pytest.mark.parametrize("attaches", [False, True], ids=["plain", "cached"])
def test_an_eager_loader_takes_in_who_comes_by_a_statement_without_options(
    blog: Blog, cache: YokedCache, attaches: bool
) -> None:
    sessions: Any = blog.attached(cache) if attaches else blog.sessions
    everything = (
        select(Post)
        .order_by(Post.id)
        .options(immediateload(Post.author).selectinload(User.posts))
    )
    for _ in range(12):
        with sessions() as session:
            # it is there already, and so its author is loaded without any options
            held = session.get_one(Post, 21)
            session.scalars(everything).all()
            assert "posts" not in inspect(held.author).unloaded

"""
Hole 11: sessions whose classes have engines of their own are answered from those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.support.databases import blog_at
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.databases import Blog
    from yokedcache import YokedCache


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Blog]:
    with blog_at(f"sqlite:///{tmp_path / 'other.db'}") as made:
        with made.sessions.begin() as session:
            session.execute(update(User).values(name="other"))
        yield made


def test_hole_11_statements(blog: Blog, other: Blog, cache: YokedCache) -> None:
    sessions = blog.attached(cache)
    names = select(User).where(User.id == 1)
    for _ in range(4):
        with sessions() as session:
            assert session.scalars(names).one().name == "ann"
        with sessions() as session:
            found = session.get(User, 1)
            assert found is not None
            assert found.name == "ann"
    for _ in range(3):
        with sessions(binds={User: other.engine}) as session:
            assert session.scalars(names).one().name == "other"
        with sessions(binds={User: other.engine}) as session:
            found = session.get(User, 1)
            assert found is not None
            assert found.name == "other"


def test_hole_11_functions(blog: Blog, other: Blog, cache: YokedCache) -> None:
    @cached(cache=cache)
    def name(session: Session) -> str | None:
        return session.scalar(select(User.name).where(User.id == 1))

    for _ in range(3):
        with Session(blog.engine) as session:
            assert name(session) == "ann"
        with Session(blog.engine, binds={User: other.engine}) as session:
            assert name(session) == "other"
    assert cache.stats().total.hits == 4

"""
What the short way keeps of a statement keeps no session alive.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, sessionmaker

from tests.sqlalchemy.people import User, fill
from yokedcache import YokedCache
from yokedcache.sqlalchemy.answers.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(f"sqlite:///{tmp_path / 'a'}")
    fill(engine)
    cache = YokedCache("memory://")
    yield cache.attach(sessionmaker(engine))
    cache.sync.close()
    engine.dispose()


def test_a_statement_that_was_served_keeps_no_session(
    cached: sessionmaker[Session],
) -> None:
    left: list[weakref.ref[Session]] = []
    for _ in range(4):
        with cached() as session:
            session.scalars(select(User)).all()
            left.append(weakref.ref(session))
    del session
    gc.collect()
    assert [kept() for kept in left] == [None] * 4
    shapes: list[Any] = [one for one in gc.get_objects() if type(one) is Shape]
    assert any(shape._metadata is not None for shape in shapes)


def test_results_of_what_is_kept_may_be_unique(cached: sessionmaker[Session]) -> None:
    for _ in range(4):
        with cached() as session:
            rows = session.execute(select(User, User.id)).unique().all()
            numbers = [number for _, number in rows]
            assert numbers
            assert len(numbers) == len({user for user, _ in rows})
            with pytest.raises(InvalidRequestError, match="non-hashable"):
                session.execute(select(User, User.about)).unique().all()

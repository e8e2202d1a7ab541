"""
The short way asks nobody for the engine, so it's taken only where nobody has a say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, select, update
from sqlalchemy.orm import Session, sessionmaker

from tests.sqlalchemy.people import User, fill
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[list[Engine]]:
    engines = [create_engine(f"sqlite:///{tmp_path / name}") for name in ("a", "b")]
    for engine in engines:
        fill(engine)
    with engines[1].begin() as connection:
        connection.execute(update(User).values(about="b"))
    yield engines
    for engine in engines:
        engine.dispose()


@pytest.fixture
def cached(engines: list[Engine]) -> Iterator[sessionmaker[Session]]:
    cache = YokedCache("memory://")
    yield cache.attach(sessionmaker(engines[0]))
    cache.sync.close()


@pytest.mark.parametrize("way", ["select", "get"])
def test_a_session_with_its_own_get_bind_is_answered_from_what_that_gives(
    cached: sessionmaker[Session], engines: list[Engine], way: str
) -> None:
    def abouts(session: Any) -> set[str]:
        if way == "get":
            return {str(session.get(User, 1).about)}
        return {str(user.about) for user in session.scalars(select(User))}

    for _ in range(5):
        with cached() as session:
            assert "b" not in abouts(session)
    for _ in range(5):
        with cached() as session:
            session.get_bind = lambda *_, **__: engines[1]  # type: ignore[method-assign]
            assert abouts(session) == {"b"}

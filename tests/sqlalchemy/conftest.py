"""
A database of users and posts, and a maker of sessions whose reads are remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from tests.sqlalchemy.people import fill
from tests.sqlalchemy.remembering import Remembering
from tests.support.fixtures import *  # noqa: F403 - pytest finds fixtures by name here
from yokedcache.sqlalchemy.install import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'data.db'}")
    fill(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def answerer() -> Remembering:
    return Remembering()


@pytest.fixture
def maker(engine: Engine, answerer: Remembering) -> sessionmaker[Session]:
    maker = sessionmaker(engine)
    install(maker, answerer)
    return maker


@pytest.fixture
def checkouts(engine: Engine) -> list[Any]:
    seen: list[Any] = []
    event.listen(engine, "checkout", lambda *args: seen.append(args))
    return seen

"""
Places of two tenants as fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine
from sqlalchemy.util import greenlet_spawn

from tests.support.databases import sqlite_file
from tests.support.fixtures import *  # noqa: F403 - pytest finds fixtures by name here
from tests.tenants.places import AsyncPlace, Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """
    Give a database in which two tenants keep a secret each.
    """
    url = _url(request, tmp_path)
    made = Place(url, create_engine(url))
    yield made
    for engine in made.engines:
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
async def async_place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[AsyncPlace]:
    """
    Give the same database, for the event loop.
    """
    url = _url(request, tmp_path)
    made = AsyncPlace(url, create_engine(url))
    yield made
    for engine in made.engines:
        await greenlet_spawn(engine.dispose)


def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{sqlite_file(tmp_path)}"
    url: str = request.getfixturevalue("postgres_database").url("psycopg")
    return url

"""
Places of two tenants as fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine

from tests.support.databases import sqlite_file
from tests.support.fixtures import *  # noqa: F403 - pytest finds fixtures by name here
from tests.tenants.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """
    Give a database in which two tenants keep a secret each.
    """
    if request.param == "sqlite":
        url = f"sqlite:///{sqlite_file(tmp_path)}"
    else:
        url = request.getfixturevalue("postgres_database").url("psycopg")
    admin = create_engine(url)
    made = Place(url, admin)
    yield made
    for engine in made.engines:
        engine.dispose()

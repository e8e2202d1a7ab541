"""
Two empty places for a batch of programs: folders, or databases of a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures import *  # noqa: F403 - pytest finds fixtures by name here

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def make_places(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[str], list[Any]]:
    """
    Give a function that makes the places of a kind of database.
    """

    def make(database: str) -> list[Any]:
        if database == "postgresql":
            create = request.getfixturevalue("make_postgres_database")
            return [create() for _ in range(2)]
        places = [tmp_path / "cached", tmp_path / "plain"]
        for place in places:
            place.mkdir()
        return places

    return make

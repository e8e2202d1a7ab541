"""
The fixtures that the tests of this folder use.
"""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.support.fixtures import *  # noqa: F403 - pytest finds fixtures by name here

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOSE_CONNECTIONS = "test_hole_07"


@pytest.fixture(autouse=True)
def lost_connections_are_gone(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Let connections go that a test has lost: their end would disturb another one.
    """
    yield
    if _LOSE_CONNECTIONS in request.node.nodeid:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # nobody can close them
            gc.collect()

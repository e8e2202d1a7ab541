"""
Processes that a test starts meet nobody, not even the test's own process.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACE = "YOKEDCACHE_RUN_DIR"


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """
    Give what is started a run directory of its own.

    The test's process may use a database that doesn't say who it is, as some tests
    have it; to whoever meets it, that could be any.
    """
    before = os.environ.get(_PLACE)
    with tempfile.TemporaryDirectory(prefix="yc-") as place:
        os.environ[_PLACE] = place
        yield
    if before is None:
        del os.environ[_PLACE]
    else:
        os.environ[_PLACE] = before

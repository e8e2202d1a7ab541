"""
The fixtures of this folder, and where the tutorial's page lies if it is at hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.fixtures import *  # noqa: F403 - pytest finds fixtures by name here
from yokedcache.cache import default_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[3] / "shared" / "tutorial.md"

collect_ignore = [] if PAGE.exists() else ["test_page.py"]


@pytest.fixture
def no_default_cache() -> Iterator[None]:
    """
    Let the next cache that is made be the one that `@cached` uses.
    """
    default_cache().sync.close()
    yield
    default_cache().sync.close()

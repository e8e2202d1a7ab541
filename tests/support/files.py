"""
Caches on a SQLite file, for tests that look into it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def on(path: Path) -> Iterator[Callable[..., YokedCache]]:
    """
    Give a function that opens a cache on the file.
    """
    with contextlib.ExitStack() as stack:

        def opened(where: Path = path, **settings: Any) -> YokedCache:
            given = {"lease": 0.2, "jitter": 0.0, "store_timeout": 5.0, **settings}
            cache = YokedCache(f"sqlite:///{where}", **given)
            stack.callback(cache.sync.close)
            return cache

        yield opened


def settled(cache: YokedCache) -> YokedCache:
    wait_until(lambda: cache.sync.set("settled", 1))
    return cache

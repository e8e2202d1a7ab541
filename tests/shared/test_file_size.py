"""
What a SQLite file takes, and that it doesn't grow.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING

from tests.services.processes import wait_until
from tests.support.files import on, path, settled
from yokedcache.stores.sqlite import machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from yokedcache import YokedCache

__all__ = ["on", "path"]

LARGE = os.urandom(3000)
"""It takes no less when it is compressed."""


def count(path: Path, what: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT {what}").fetchone()[0])


def test_the_file_has_a_bound(path: Path, on: Callable[..., YokedCache]) -> None:
    cache = settled(on(max_file_bytes=300_000))
    for number in range(300):
        assert cache.sync.set(f"k{number}", LARGE)
    taken = count(path, "sum(size) FROM entries")
    assert 200_000 < taken <= 300_000
    assert count(path, "bytes FROM counter") == taken
    assert cache.sync.get("k299") == LARGE
    assert not cache.sync.set("large", os.urandom(100_000))
    cache.sync.close()
    assert path.stat().st_size < 3 * 300_000


def test_what_has_ended_goes(path: Path, on: Callable[..., YokedCache]) -> None:
    cache = settled(on())
    for number in range(100):
        cache.sync.set(f"k{number}", 1, ttl=0.2, tags=[f"t{number}"])
    assert count(path, "count(*) FROM entries") > 50

    def gone() -> bool:
        cache.sync.set("k", 1, ttl=60, tags=["t", f"u{time.monotonic_ns()}"])
        return count(path, "count(*) FROM entries") <= 3

    wait_until(gone)
    assert count(path, "bytes FROM counter") == count(path, "sum(size) FROM entries")

    def few() -> bool:
        gone()
        return count(path, f"count(*) FROM tags WHERE ends < {machine.now()}") < 3

    wait_until(few)


def test_a_tag_that_nobody_reads_leaves_nothing(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    cache = settled(on())
    before = count(path, "count(*) FROM tags")
    for number in range(50):
        cache.sync.invalidate_tags(f"nobody:{number}")
    assert count(path, "count(*) FROM tags") == before


def test_applications_of_two_prefixes_share_a_file(
    on: Callable[..., YokedCache],
) -> None:
    one, other = settled(on(prefix="one")), settled(on(prefix="other"))
    assert one.sync.set("a", 1, tags=["t"])
    assert other.sync.get("a") is None
    other.sync.clear()
    other.sync.invalidate_tags("t")
    assert one.sync.get("a") == 1

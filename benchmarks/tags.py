"""
Section `tags`: what invalidating a tag costs, by how much hangs on it.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from measure import Effort, Line, Run, compare, contest, repeat

from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Invalidation of a tag"

FEW, MANY, MANY_QUICK = 10, 1_000_000, 100_000
BAR = 2.0


def measure(effort: Effort) -> Iterator[Line]:
    """
    Bump a tag that little hangs on and one that much hangs on, in turns.
    """
    many = MANY_QUICK if effort.quick else MANY
    caches = {f"{count:,} entries": _filled(count) for count in (FEW, many)}
    gc.freeze()
    try:
        runs = {name: _invalidate(cache) for name, cache in caches.items()}
        times = contest(runs, effort)
        little, much = caches
        yield compare(times, f"invalidate_tags, {much}", much, little, BAR)
        for name, cache in caches.items():
            left = sum(cache.sync.exists(f"k{i}") for i in range(FEW))
            if left:
                raise AssertionError(f"{left} entries outlived their tag, of {name}")
    finally:
        gc.unfreeze()
        for cache in caches.values():
            cache.sync.close()


def _filled(count: int) -> YokedCache:
    cache = YokedCache(
        "memory://", max_entries=2 * count, max_bytes=4096 * (count + 1000)
    )
    for index in range(count):
        cache.sync.set(f"k{index}", index, ttl=3600, tags=["all"])
    return cache


def _invalidate(cache: YokedCache) -> Run:
    return repeat(lambda: cache.sync.invalidate_tags("all"))

"""
The package of our name on PyPI, in memory.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from yokedcache import CacheConfig, YokedCache, cached

_cache = YokedCache(CacheConfig(redis_url="memory://"))
_numbers = count()


async def setup() -> None:
    await _cache.connect()


def asynchronous(function: Any) -> Any:
    return cached(cache=_cache, ttl=300, key_prefix=f"f{next(_numbers)}")(function)

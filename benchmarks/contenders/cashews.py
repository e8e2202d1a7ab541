"""
cashews in memory, as it comes.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from cashews import Cache

_cache = Cache()
_numbers = count()


async def setup() -> None:
    _cache.setup("mem://")
    await _cache.init()


def asynchronous(function: Any) -> Any:
    return _cache(ttl="5m", prefix=f"f{next(_numbers)}")(function)

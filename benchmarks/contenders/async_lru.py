"""
async-lru with a TTL.
"""

from __future__ import annotations

from typing import Any

from async_lru import alru_cache


def asynchronous(function: Any) -> Any:
    return alru_cache(maxsize=1024, ttl=300)(function)

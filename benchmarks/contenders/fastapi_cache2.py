"""
fastapi-cache2 in memory, outside of a web request.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache

_numbers = count()


async def setup() -> None:
    FastAPICache.init(InMemoryBackend())


def asynchronous(function: Any) -> Any:
    return cache(expire=300, namespace=f"f{next(_numbers)}")(function)

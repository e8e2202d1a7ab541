"""
The package of our name on PyPI: a cached function with a tag, invalidated after commit.

Async only: its blocking face starts an event loop for each call. Its cached sessions
are left out, as they answer no `select()` from the cache.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import async_sessionmaker

from consistency import data
from consistency.acts import Acts, Awaiting, Place
from yokedcache import CacheConfig, YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def tasks(place: Place) -> AsyncIterator[Awaiting]:
    engine = data.async_engine(place)
    maker = async_sessionmaker(engine)
    cache = YokedCache(CacheConfig(redis_url=place.store))
    await cache.connect()

    @cached(cache=cache, ttl=300, tags=["counters"])
    async def value(row: int) -> int:
        return await data.aread(maker, row)

    async def write(row: int) -> int:
        written = await data.awrite(maker, row)
        await cache.invalidate_tags(["counters"])
        return written

    yield Acts(write, {"function": value})
    await cache.disconnect()
    await engine.dispose()

"""
cashews on Redis, async only: a cached function, and a write decorated to invalidate it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cashews import Cache
from sqlalchemy.ext.asyncio import async_sessionmaker

from consistency import data
from consistency.acts import Acts, Awaiting, Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def tasks(place: Place) -> AsyncIterator[Awaiting]:
    engine = data.async_engine(place)
    maker = async_sessionmaker(engine)
    cache = Cache()
    cache.setup(place.store, suppress=False)

    @cache(ttl="5m", key="counter:{row}")
    async def value(row: int) -> int:
        return await data.aread(maker, row)

    @cache.invalidate("counter:{row}")
    async def write(row: int) -> int:
        return await data.awrite(maker, row)

    yield Acts(write, {"function": value})
    await cache.close()
    await engine.dispose()

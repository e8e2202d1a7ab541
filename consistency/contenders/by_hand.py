"""
What many write themselves: look into Redis, else read and store; delete after commit.

It is wrong: who read before a commit may store after it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import redis
import redis.asyncio
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import sessionmaker

from consistency import data
from consistency.acts import Acts, Awaiting, Blocking, Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TTL = 300


@contextmanager
def threads(place: Place) -> Iterator[Blocking]:
    engine = data.engine(place)
    maker = sessionmaker(engine)
    store = redis.Redis.from_url(place.store)

    def read(row: int) -> int:
        kept = store.get(f"counter:{row}")
        if kept is not None:
            return int(kept)
        value = data.read(maker, row)
        store.set(f"counter:{row}", value, ex=TTL)
        return value

    def write(row: int) -> int:
        value = data.write(maker, row)
        store.delete(f"counter:{row}")
        return value

    yield Acts(write, {"get or load": read})
    store.close()
    engine.dispose()


@asynccontextmanager
async def tasks(place: Place) -> AsyncIterator[Awaiting]:
    engine = data.async_engine(place)
    maker = async_sessionmaker(engine)
    store = redis.asyncio.Redis.from_url(place.store)

    async def read(row: int) -> int:
        kept = await store.get(f"counter:{row}")
        if kept is not None:
            return int(kept)
        value = await data.aread(maker, row)
        await store.set(f"counter:{row}", value, ex=TTL)
        return value

    async def write(row: int) -> int:
        value = await data.awrite(maker, row)
        await store.delete(f"counter:{row}")
        return value

    yield Acts(write, {"get or load": read})
    await store.aclose()
    await engine.dispose()

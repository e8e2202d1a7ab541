"""
This library: attached sessions, and cached functions that name no tag.

Whoever writes does so through sessions that know of no cache.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import sessionmaker

from consistency import data
from consistency.acts import Acts, Awaiting, Blocking, Place
from consistency.asking import count_look_ups
from consistency.signs import signs_of
from yokedcache import YokedCache, cached
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@contextmanager
def threads(place: Place) -> Iterator[Blocking]:
    engine = data.engine(place)
    maker = sessionmaker(engine)
    cache = YokedCache(place.store)
    count_look_ups(cache, place.look_ups)
    attached = cache.attach(sessionmaker(engine))

    @cached(cache=cache)
    def value(row: int) -> int:
        return data.read(maker, row)

    session = partial(data.read, attached)
    reads = {"session": session, "function": value}
    signs = partial(signs_of, cache)
    yield Acts(partial(data.write, maker), reads, (StoreError,), signs)
    cache.sync.close()
    engine.dispose()


@asynccontextmanager
async def tasks(place: Place) -> AsyncIterator[Awaiting]:
    engine = data.async_engine(place)
    maker = async_sessionmaker(engine)
    cache = YokedCache(place.store)
    count_look_ups(cache, place.look_ups)
    attached = cache.attach(async_sessionmaker(engine))

    @cached(cache=cache)
    async def value(row: int) -> int:
        return await data.aread(maker, row)

    session = partial(data.aread, attached)
    reads = {"session": session, "function": value}
    signs = partial(signs_of, cache)
    yield Acts(partial(data.awrite, maker), reads, (StoreError,), signs)
    await cache.close()
    await engine.dispose()

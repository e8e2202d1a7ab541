"""
advanced-alchemy with dogpile.cache on Redis: repositories that read and that write.

It invalidates by itself after commit, what its repositories have changed.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from advanced_alchemy.cache import CacheConfig
from advanced_alchemy.config import (
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemySyncConfig,
)
from advanced_alchemy.repository import (
    SQLAlchemyAsyncRepository,
    SQLAlchemySyncRepository,
)

from consistency import data
from consistency.acts import Acts, Awaiting, Blocking, Place
from consistency.data import Counter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Counters(SQLAlchemySyncRepository[Any]):
    model_type = Counter


class AsyncCounters(SQLAlchemyAsyncRepository[Any]):
    model_type = Counter


@contextmanager
def threads(place: Place) -> Iterator[Blocking]:
    config = SQLAlchemySyncConfig(
        connection_string=place.database,
        engine_config=EngineConfig(pool_size=data.POOL),
        cache_config=_cache(place),
    )
    engine = config.get_engine()
    data.count(engine, place)

    # without auto_expunge a repository caches nothing
    def get(row: int) -> int:
        with config.get_session() as session:
            found = Counters(session=session, auto_expunge=True).get(row)
            return int(found.value)

    def listed(row: int) -> int:
        with config.get_session() as session:
            repository = Counters(session=session, auto_expunge=True)
            return int(repository.list(id=row)[0].value)

    def write(row: int) -> int:
        with config.get_session() as session:
            repository = Counters(session=session)
            found = repository.get(row, with_for_update=True)
            found.value += 1
            value = int(repository.update(found).value)
            session.commit()
            return value

    yield Acts(write, {"get": get, "list": listed})
    engine.dispose()


@asynccontextmanager
async def tasks(place: Place) -> AsyncIterator[Awaiting]:
    config = SQLAlchemyAsyncConfig(
        connection_string=place.database,
        engine_config=EngineConfig(pool_size=data.POOL),
        cache_config=_cache(place),
    )
    engine = config.get_engine()
    data.count(engine.sync_engine, place)

    async def get(row: int) -> int:
        async with config.get_session() as session:
            found = await AsyncCounters(session=session, auto_expunge=True).get(row)
            return int(found.value)

    async def listed(row: int) -> int:
        async with config.get_session() as session:
            repository = AsyncCounters(session=session, auto_expunge=True)
            return int((await repository.list(id=row))[0].value)

    async def write(row: int) -> int:
        async with config.get_session() as session:
            repository = AsyncCounters(session=session)
            found = await repository.get(row, with_for_update=True)
            found.value += 1
            value = int((await repository.update(found)).value)
            await session.commit()
            return value

    yield Acts(write, {"get": get, "list": listed})
    await engine.dispose()


def _cache(place: Place) -> CacheConfig:
    arguments = {"url": place.store, "distributed_lock": True}
    return CacheConfig(
        backend="dogpile.cache.redis", expiration_time=300, arguments=arguments
    )

"""
A server of Redis' kind as this process reaches it: a blocking client, and one a loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from yokedcache.stores.redis import aio, sync
from yokedcache.stores.redis.sentinel import AsyncPrimary, Primary
from yokedcache.stores.redis.ways import read_way

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from yokedcache.stores import answers
    from yokedcache.stores.redis.cluster.aio import AsyncClusterStore
    from yokedcache.stores.redis.cluster.sync import ClusterStore
    from yokedcache.stores.redis.commands import Commands

T = TypeVar("T")

AnyStore: TypeAlias = "sync.RedisStore | ClusterStore"
AnyAsyncStore: TypeAlias = "aio.AsyncRedisStore | AsyncClusterStore"
Opened: TypeAlias = "tuple[AnyAsyncStore, AsyncGenerator[None]]"


async def _staying(client: Any) -> AsyncGenerator[None]:
    """
    Close a client when its event loop ends: loops close the generators left in them.
    """
    try:
        yield
    finally:
        await client.aclose()


class RedisClient:
    """
    Does operations over clients that are opened when they are first used.
    """

    def __init__(
        self,
        url: str,
        commands: Commands,
        ticket: Callable[[], float],
        *,
        limit: float,
    ) -> None:
        self.commands = commands
        self._way = read_way(url)
        self._ticket = ticket
        self._limit = limit
        self._sync: AnyStore | None = None
        self._loops: WeakKeyDictionary[Any, Opened] = WeakKeyDictionary()

    def perform(self, operation: answers.Operation[T], limit: float) -> T:
        """
        Do an operation in the calling thread.
        """
        store = self._sync
        if store is None:
            store = self._sync = self._open_sync()
        made: Any = operation  # by our commands
        done: T = store.perform(made, limit)
        return done

    async def perform_async(self, operation: answers.Operation[T], limit: float) -> T:
        """
        Do an operation in the running event loop.
        """
        loop = asyncio.get_running_loop()
        store, _ = self._loops.get(loop) or await self._open(loop)
        made: Any = operation
        done: T = await store.perform(made, limit)
        return done

    def close(self) -> None:
        """
        Let the blocking client go.
        """
        store, self._sync = self._sync, None
        if store is not None:
            store.close()

    async def close_async(self) -> None:
        """
        Let the running loop's client go, and the blocking one.
        """
        self.close()
        _, stay = self._loops.pop(asyncio.get_running_loop(), (None, None))
        if stay is not None:
            await stay.aclose()

    def begin_anew(self) -> None:
        """
        Forget the parent's connections, in a child after a fork.
        """
        self._sync = None
        self._loops = WeakKeyDictionary()

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Opened:
        store = self._open_async()
        opened = self._loops[loop] = (store, _staying(store))
        await anext(opened[1])
        return opened

    def _open_sync(self) -> AnyStore:
        way, limit = self._way, self._limit
        if way.service is None:
            return sync.RedisStore(sync.connect(way.url, limit=limit), limit=limit)
        times = {"socket_timeout": limit, "socket_connect_timeout": limit}
        primary = Primary(way, {**sync.OPTIONS, **times}, limit, sync.PLAIN)
        return sync.RedisStore(primary.client, limit=limit, primary=primary)

    def _open_async(self) -> AnyAsyncStore:
        way = self._way
        told: Any = {"limit": self._limit, "ticket": self._ticket}
        if way.service is None:
            return aio.AsyncRedisStore(aio.connect(way.url), **told)
        primary = AsyncPrimary(way, aio.OPTIONS, self._limit, aio.PLAIN)
        return aio.AsyncRedisStore(primary.client, primary=primary, **told)

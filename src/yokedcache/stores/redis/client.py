"""
A server of Redis' kind as this process reaches it: a blocking client, and one a loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, ref

from yokedcache.stores.redis import aio, aio_client, sync
from yokedcache.stores.redis.options import check
from yokedcache.stores.redis.places import place_of
from yokedcache.stores.redis.sentinel import AsyncPrimary, Primary
from yokedcache.stores.redis.tls import check_files, check_keys
from yokedcache.stores.redis.ways import Way, read_way
from yokedcache.stores.urls import read_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from yokedcache.stores import answers
    from yokedcache.stores.redis.cluster.aio import AsyncClusterStore
    from yokedcache.stores.redis.cluster.sync import ClusterStore
    from yokedcache.stores.redis.commands import Commands

T = TypeVar("T")

AnyStore: TypeAlias = "sync.RedisStore | ClusterStore"
AnyAsyncStore: TypeAlias = "aio.AsyncRedisStore | AsyncClusterStore"
Opened: TypeAlias = "tuple[AnyAsyncStore, AsyncGenerator[None]]"

_NOWHERE: Final[tuple[Any, Any]] = (lambda: None, None)


async def _staying(client: Any) -> AsyncGenerator[None]:
    """
    Close a client when its event loop ends: loops close the generators left in them.
    """
    try:
        yield
    finally:
        await client.aclose()


def _checked(url: str) -> Way:
    way = read_way(url)
    for told in filter(None, (way.url, way.watchers)):
        check(told)
        check_files(told)
    return way


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
        self._way = read_url(url, _checked)
        check_keys(self._way.url, self._way.watchers)
        self._ticket = ticket
        self._limit = limit
        self._sync: AnyStore | None = None
        self._loops: WeakKeyDictionary[Any, Opened] = WeakKeyDictionary()
        self._latest: tuple[Callable[[], Any], Any] = _NOWHERE
        """The loop that asked last, and its client."""

    @property
    def place(self) -> str:
        """
        Name the store (`contract.Placed`).
        """
        return place_of(self._way)

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

    def perform_async(
        self, operation: answers.Operation[T], limit: float
    ) -> Awaitable[T]:
        """
        Do an operation in the running event loop.
        """
        loop = asyncio.get_running_loop()
        # most processes have one loop, and a weak dictionary takes a while
        latest, store = self._latest
        made: Any = operation
        if latest() is not loop:
            found = self._loops.get(loop)
            if found is None:
                return self._opened(loop, made, limit)
            store = found[0]
            self._latest = (ref(loop), store)
        done: Awaitable[T] = store.perform(made, limit)
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
        self._latest = _NOWHERE
        _, stay = self._loops.pop(asyncio.get_running_loop(), (None, None))
        if stay is not None:
            await stay.aclose()

    def begin_anew(self) -> None:
        """
        Forget the parent's connections, in a child after a fork.
        """
        self._sync = None
        self._latest = _NOWHERE
        self._loops = WeakKeyDictionary()

    async def _opened(
        self, loop: asyncio.AbstractEventLoop, operation: Any, limit: float
    ) -> Any:
        """
        Do an operation in a loop that has no client yet, or has it since just now.
        """
        found = self._loops.get(loop)
        if found is None:
            store = self._open_async()
            found = self._loops[loop] = (store, _staying(store))
            await anext(found[1])
        return await found[0].perform(operation, limit)

    def _open_sync(self) -> AnyStore:
        way, limit = self._way, self._limit
        if way.service is None:
            return sync.RedisStore(sync.connect(way.url), limit=limit)
        primary = Primary(way, sync.OPTIONS, limit, sync.GREETED)
        return sync.RedisStore(primary.client, limit=limit, primary=primary)

    def _open_async(self) -> AnyAsyncStore:
        way = self._way
        told: Any = {"limit": self._limit, "ticket": self._ticket}
        if way.service is None:
            return aio.AsyncRedisStore(aio_client.connect(way.url), **told)
        primary = AsyncPrimary(way, aio_client.OPTIONS, self._limit, aio_client.PLAIN)
        return aio.AsyncRedisStore(primary.client, primary=primary, **told)

"""
The way to a shared store: by a blocking client, or by one for each event loop.

Whoever has to wait in the middle of blocking code does so *here*: a thread waits, a
greenlet of SQLAlchemy's `AsyncSession` lets its loop go on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from yokedcache.errors import StoreError
from yokedcache.runtime.log import logger, once
from yokedcache.runtime.switching import awaited, in_greenlet
from yokedcache.shared.breaker import Breaker
from yokedcache.stores.redis import aio, sync
from yokedcache.stores.redis.commands import Commands
from yokedcache.stores.redis.layout import Layout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from yokedcache.stores.redis.operations import Operation

T = TypeVar("T")

_CHANGES: Final = frozenset({"fence", "lift", "renew", "bump", "adopt"})
"""What others must be told, where a look-up may as well be left out."""


Opened: TypeAlias = "tuple[aio.AsyncRedisStore, AsyncGenerator[None]]"


async def _staying(client: Any) -> AsyncGenerator[None]:
    """
    Close a client when its event loop ends: loops close the generators left in them.
    """
    try:
        yield
    finally:
        await client.aclose()


class Asker:
    """
    Holds conversations in an event loop.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def perform(self, op: Any) -> Any:
        """
        Do what waits for nothing: no operation is like that.
        """
        raise NotImplementedError(op)  # pragma: no cover - all of them wait

    def begin(self, op: Any) -> Awaitable[Any]:
        """
        Begin an operation.
        """
        return self._server.perform_async(op)


class Server:
    """
    One shared store, as this process reaches it.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float],
        ticket: Callable[[], float],
        *,
        prefix: str,
        lease: float,
        limit: float,
        patience: float,
    ) -> None:
        self.commands = Commands(Layout(prefix), lease=lease)
        self.lease = lease
        self.failures = 0
        self._url = url
        self._ticket = ticket
        self._limit = limit
        self._patience = patience
        # a look-up is given up early, an announcement is not: each has its own
        self._asking = Breaker(clock)
        self._announcing = Breaker(clock)
        self._sync: sync.RedisStore | None = None
        self._loops: WeakKeyDictionary[Any, Opened] = WeakKeyDictionary()

    def perform(self, operation: Operation[T]) -> T:
        """
        Do an operation in the calling thread.

        Raises:
            StoreError: it can't be done, or nothing is asked for now.
        """
        breaker, limit = self._admit(operation)
        operation.sent = self._ticket()
        store = self._sync
        if store is None:
            store = self._sync = sync.RedisStore(
                sync.connect(self._url, limit=self._limit), limit=self._limit
            )
        try:
            result = store.perform(operation, limit)
        except StoreError as error:
            self._failed(breaker, error)
            raise
        self._answered(breaker)
        return result

    async def perform_async(self, operation: Operation[T]) -> T:
        """
        Do an operation in the running event loop.

        Raises:
            StoreError: it can't be done, or nothing is asked for now.
        """
        breaker, limit = self._admit(operation)
        loop = asyncio.get_running_loop()
        store, _ = self._loops.get(loop) or await self._open(loop)
        try:
            result = await store.perform(operation, limit)
        except StoreError as error:
            self._failed(breaker, error)
            raise
        self._answered(breaker)
        return result

    def here(self, operation: Operation[T]) -> T:
        """
        Do an operation where the caller is: in a greenlet, or a thread.
        """
        if in_greenlet():
            done: T = awaited(self.perform_async(operation))
            return done
        return self.perform(operation)

    def close(self) -> None:
        """
        Let the blocking client go.
        """
        store, self._sync = self._sync, None
        if store is not None:
            store.client.close()

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
        client = aio.connect(self._url)
        store = aio.AsyncRedisStore(client, limit=self._limit, ticket=self._ticket)
        opened = self._loops[loop] = (store, _staying(client))
        await anext(opened[1])
        return opened

    def _admit(self, operation: Operation[Any]) -> tuple[Breaker, float]:
        changes = operation.asked in _CHANGES
        breaker = self._announcing if changes else self._asking
        if breaker.open:
            message = f"it is left alone, having failed ({operation.asked})"
            raise StoreError(message, asked=operation.asked)
        return breaker, self._patience if changes else self._limit

    def _failed(self, breaker: Breaker, error: StoreError) -> None:
        self.failures += 1
        if breaker.failed():
            logger.warning(
                "a shared store fails again and again, so it is left alone for a "
                "while and the database answers: %s",
                str(error),  # not the error: a log would keep what it was raised in
            )
        else:
            once("store_failed", error.message, "a shared store failed: %s", str(error))

    @staticmethod
    def _answered(breaker: Breaker) -> None:
        if breaker.answered():
            logger.warning("the shared store answers again")

"""
A PostgreSQL database as this process reaches it, from threads and from event loops.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from psycopg.conninfo import make_conninfo

from yokedcache.errors import StoreError
from yokedcache.stores.postgresql.aio import Loop
from yokedcache.stores.postgresql.faults import (
    CAUGHT,
    RefusedError,
    address_of,
    check_url,
    store_error,
)
from yokedcache.stores.postgresql.making import Schema
from yokedcache.stores.postgresql.operations import Settled
from yokedcache.stores.postgresql.places import place_of
from yokedcache.stores.postgresql.sync import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from yokedcache.stores import answers
    from yokedcache.stores.postgresql.commands import Commands

T = TypeVar("T")

Opened: TypeAlias = "tuple[Loop, AsyncGenerator[None]]"

_FAILED = (*CAUGHT, RefusedError, StoreError)


async def _staying(loop: Loop) -> AsyncGenerator[None]:
    """
    Close connections when their event loop ends: loops close the generators left in them.
    """
    try:
        yield
    finally:
        loop.close()


class PostgresClient:
    """
    Does operations over connections that are opened when they are first used.
    """

    def __init__(
        self, url: str, commands: Commands, ticket: Callable[[], float]
    ) -> None:
        facts = check_url(url)
        self._facts = dict(facts)
        facts.setdefault("fallback_application_name", "yokedcache")
        self.commands = commands
        self._conninfo = make_conninfo("", **facts)
        self._address = address_of(facts)
        self._ticket = ticket
        self._begin()
        weakref.finalize(self, self._threads.close)

    @property
    def place(self) -> str:
        """
        Name the store (`contract.Placed`).
        """
        return place_of(self._facts)

    def perform(self, operation: answers.Operation[T], limit: float) -> T:
        """
        Do an operation in the calling thread.
        """
        if isinstance(operation, Settled):
            known: T = operation.result
            return known
        made: Any = operation  # by our commands
        try:
            done: T = self._threads.perform(made, limit)
        except _FAILED as error:
            raise self._error(error, made, self._threads) from error
        return done

    async def perform_async(self, operation: answers.Operation[T], limit: float) -> T:
        """
        Do an operation in the running event loop.
        """
        operation.sent = self._ticket()
        if isinstance(operation, Settled):
            known: T = operation.result
            return known
        running = asyncio.get_running_loop()
        loop, _ = self._loops.get(running) or await self._open(running)
        made: Any = operation
        try:
            done: T = await loop.perform(made, limit)
        except _FAILED as error:
            raise self._error(error, made, loop) from error
        return done

    def close(self) -> None:
        """
        Close what threads have opened and nobody uses now.
        """
        self._threads.close()

    async def close_async(self) -> None:
        """
        Close that, and what the running loop has opened.
        """
        self.close()
        _, stay = self._loops.pop(asyncio.get_running_loop(), (None, None))
        if stay is not None:
            await stay.aclose()

    def begin_anew(self) -> None:
        """
        Leave the parent its connections, in a child after a fork.
        """
        self._threads.disown()
        for loop, _ in self._loops.values():
            loop.disown()
        self._begin()

    def _begin(self) -> None:
        self._schema = Schema(self.commands.schema)  # read here: a loop reads no files
        self._threads = Threads(self._conninfo, self._schema)
        self._loops: WeakKeyDictionary[Any, Opened] = WeakKeyDictionary()

    async def _open(self, running: asyncio.AbstractEventLoop) -> Opened:
        loop = Loop(self._conninfo, self._schema)
        opened = self._loops[running] = (loop, _staying(loop))
        await anext(opened[1])
        return opened

    def _error(
        self, error: BaseException, operation: Any, asker: Threads | Loop
    ) -> StoreError:
        schema, met = self.commands.schema, asker.met
        return store_error(error, operation.asked, self._address, schema, met=met)

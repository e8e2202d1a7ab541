"""
The event loop's driver, over redis-py's `asyncio.Redis`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import ConnectionError as ConnectionLost

from yokedcache.errors import StoreError
from yokedcache.stores.patience import within
from yokedcache.stores.redis.batches import Batches
from yokedcache.stores.redis.faults import (
    CAUGHT,
    store_error,
    whereabouts,
)
from yokedcache.stores.redis.folding import folded
from yokedcache.stores.redis.incarnation import Link, led
from yokedcache.stores.redis.lasting import Lasting
from yokedcache.stores.redis.lines import Lines
from yokedcache.stores.redis.lockstep import lockstep
from yokedcache.stores.redis.sync import LIMIT
from yokedcache.stores.redis.trips import Trip, taken
from yokedcache.stores.redis.wire import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import TypeAlias

    import redis.asyncio

    from yokedcache.stores.redis.batches import Tell
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.sentinel import AsyncPrimary
    from yokedcache.stores.redis.wire import Steps

    Together: TypeAlias = Callable[[list[Operation[Any]], Link], Steps[list[Any]]]

T = TypeVar("T")


class AsyncRedisStore:
    """
    Performs operations over a client made with `OPTIONS`.

    `primary` knows whether that client still leads where it should.
    """

    name = "redis"

    def __init__(
        self,
        client: redis.asyncio.Redis,
        *,
        limit: float = LIMIT,
        ticket: Callable[[], float] = lambda: 0.0,
        primary: AsyncPrimary | None = None,
    ) -> None:
        self.client = client
        self._primary = primary
        self.limit = limit
        self._ticket = ticket
        self._batches = Batches(self.look_up, self._look_up_at_once)
        self.pool: Any = client.connection_pool
        # the pool has no queue, and fails whoever comes while all are in use
        self.lines = Lines(self.pool.max_connections)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def aclose(self) -> None:
        """
        Close all connections.
        """
        self._closed = True
        await (self._primary or self.client).aclose()

    def perform(
        self, operation: Operation[T], limit: float | None = None
    ) -> Awaitable[T]:
        """
        Do an operation, connecting included, within so many seconds.

        Those who find all connections in use wait their turn within that time.
        """
        seconds = self.limit if limit is None else limit
        if operation.look is not None:
            return self._batches.put(operation, seconds)
        return self._perform(operation, seconds)

    async def _perform(self, operation: Operation[T], seconds: float) -> T:
        (result,) = await self.perform_all([operation], seconds)
        if isinstance(result, StoreError):
            raise result
        done: T = result
        return done

    async def perform_all(
        self, operations: list[Operation[Any]], seconds: float
    ) -> list[Any]:
        """
        Do operations on one connection; give the result of each, or its `StoreError`.
        """
        line = self._free_line(silent=True)
        if line is None:
            return await self._using(lockstep, operations, seconds)
        return await self._sent(line, lockstep, operations, seconds)

    async def look_up(
        self, operations: list[Operation[Any]], seconds: float
    ) -> list[Any]:
        """
        Do look-ups in one go; give the result of each, or its `StoreError`.
        """
        return await self._using(folded, operations, seconds)

    def _look_up_at_once(
        self, operations: list[Operation[Any]], seconds: float, tell: Tell
    ) -> bool:
        """
        Send look-ups over a connection that stayed, if there is one that is free.
        """
        line = self._free_line()
        if line is None:
            return False

        def told(outcome: list[Any] | BaseException) -> None:
            lost = isinstance(outcome, StoreError) and _was_lost(outcome)
            if lost and not self._closed:  # while it was free, maybe
                self._soon(self._look_up_again(operations, line.left, tell))
            else:
                tell(outcome)

        self._send(line, folded, operations, seconds, told)
        return True

    def _free_line(self, *, silent: bool = False) -> Lasting | None:
        """
        Take a connection that stayed, if there is one that can be used at once.

        What is not to be sent again goes over a `silent` one: it wasn't closed meanwhile.
        """
        free = self.lines.free
        if not free or (self._primary is not None and self._primary.due):
            return None
        line = free[-1]
        if not self._leads_on(line) or (silent and line.has_heard):
            return None
        return free.pop()

    async def _sent(
        self,
        line: Lasting,
        how: Together,
        operations: list[Operation[Any]],
        seconds: float,
    ) -> list[Any]:
        done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        trip = self._send(line, how, operations, seconds, partial(_settle, done))
        try:
            return await done
        except asyncio.CancelledError:
            # or a fence that was given up would be raised when it is lifted already
            trip.dropped = True
            raise

    def _send(
        self,
        line: Lasting,
        how: Together,
        operations: list[Operation[Any]],
        seconds: float,
        tell: Tell,
    ) -> Trip:
        steps = self._steps(how, operations, line.connection.yokedcache)
        trip = Trip(line, operations, steps, partial(self._over, tell))
        trip.begin(seconds)
        return trip

    def _steps(
        self, how: Together, operations: list[Operation[Any]], link: Link
    ) -> Steps[list[Any]]:
        """
        Give the steps of operations done together.
        """

        def begin() -> Steps[list[Any]]:
            ticket = self._ticket()
            for operation in operations:
                operation.sent = ticket
            return how(operations, link)

        # look-ups are, and there are many of them
        late = how is folded or all(operation.late for operation in operations)
        return led(begin, link, late=late)

    def _over(self, tell: Tell, trip: Trip, outcome: list[Any] | Exception) -> None:
        """
        Tell what came of a trip; keep the connection, unless it isn't good any more.
        """
        connection, clean = trip.line.connection, False
        if isinstance(outcome, list):
            clean = self._told(outcome, trip.operations, connection)
        elif isinstance(outcome, RefusedError):
            clean = not outcome.of_a_replica
        if clean:
            self.lines.give(trip.line)
        else:
            self._soon(self._close(trip.line))
        if isinstance(outcome, (*CAUGHT, RefusedError, StoreError)):
            tell(self._error(outcome, trip.operations[0].asked, connection))
        else:
            tell(outcome)

    async def _look_up_again(
        self, operations: list[Operation[Any]], seconds: float, tell: Tell
    ) -> None:
        try:
            tell(await self.look_up(operations, seconds))
        except BaseException as error:
            tell(error)
            if not isinstance(error, Exception):
                raise

    def _leads_on(self, line: Lasting) -> bool:
        """
        Tell whether a connection is open, and to the primary.
        """
        known = self._primary is None or self._primary.leads(line.connection)
        return known and not line.lost

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self, line: Lasting) -> None:
        """
        Close a connection that stayed, and let others have its place.
        """
        try:
            await self._let_go(line.connection, clean=False)
        finally:
            self.lines.leave()

    async def _let_go(self, connection: Any, *, clean: bool) -> None:
        try:
            if not clean:
                # what is still to be answered must not answer somebody else
                await connection.disconnect(nowait=True)
        finally:
            await self.pool.release(connection)

    async def _using(
        self, how: Together, operations: list[Operation[Any]], seconds: float
    ) -> list[Any]:
        """
        Have operations done over a connection, once there is one or a place for one.
        """
        try:
            async with within(seconds) as countdown:
                await self._check()
                line = await self.lines.take()
        except (*CAUGHT, StoreError) as error:
            raise self._error(error, operations[0].asked, None) from error
        left = countdown.left
        if line is not None and self._leads_on(line) and not line.has_heard:
            return await self._sent(line, how, operations, left)
        return await self._opening(how, operations, left, instead_of=line)

    async def _opening(
        self,
        how: Together,
        operations: list[Operation[Any]],
        seconds: float,
        *,
        instead_of: Lasting | None,
    ) -> list[Any]:
        """
        Open a connection and have operations done over it; it stays, if it can.
        """
        connection, asked, clean = None, operations[0].asked, False
        try:
            if instead_of is not None:
                await self._let_go(instead_of.connection, clean=False)
            if self._closed:
                raise StoreError("it was closed meanwhile")  # noqa: TRY301
            async with within(seconds):
                connection = await self.pool.get_connection()
                steps = self._steps(how, operations, connection.yokedcache)
                results = await taken(connection, steps)
            clean = self._told(results, operations, connection)
        except (*CAUGHT, RefusedError, StoreError) as error:
            clean = isinstance(error, RefusedError) and not error.of_a_replica
            opens = self.pool if connection is None else None
            made = self._error(error, asked, connection, opens)
            try:
                raise made from made.__cause__
            finally:
                del made  # it knows this frame
        else:
            return results
        finally:
            await self._hand_on(connection, clean=clean)

    async def _hand_on(self, connection: Any, *, clean: bool) -> None:
        """
        Let others use a connection, or open one instead of it.
        """
        line = None
        try:
            line = Lasting.over(connection) if clean else None
            if line is None and connection is not None:
                await self._let_go(connection, clean=clean)
        finally:
            if line is None:
                self.lines.leave()
            else:
                self.lines.give(line)

    async def _check(self) -> None:
        """
        Make sure that what is open leads to the primary; let go of what doesn't.
        """
        if self._primary is not None:
            await self._primary.check()
        free = self.lines.free
        while lost := [line for line in free if not self._leads_on(line)]:
            free.remove(lost[0])
            await self._close(lost[0])

    def _told(
        self, results: list[Any], operations: list[Operation[Any]], connection: Any
    ) -> bool:
        """
        Make errors of what was refused; tell whether the connection is still good.
        """
        clean = True
        for place, result in enumerate(results):
            if isinstance(result, RefusedError):
                clean = clean and not result.of_a_replica
                asked = operations[place].asked
                results[place] = self._error(result, asked, connection)
        return clean

    def _error(
        self, error: Exception, asked: str, connection: Any, opens: Any = None
    ) -> StoreError:
        address = whereabouts(connection, self.pool)
        return store_error(error, asked, address, opens=opens)


def _was_lost(error: StoreError) -> bool:
    return isinstance(error.__cause__, ConnectionLost)


def _settle(
    done: asyncio.Future[list[Any]], outcome: list[Any] | BaseException
) -> None:
    if done.done():  # its caller was cancelled
        return
    if isinstance(outcome, BaseException):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)

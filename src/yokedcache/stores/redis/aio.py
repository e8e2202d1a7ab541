"""
The event loop's driver, over redis-py's `asyncio.Redis`.
"""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
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
from yokedcache.stores.redis.incarnation import INFO, Link, led, read_info
from yokedcache.stores.redis.lasting import Lasting
from yokedcache.stores.redis.lines import Lines
from yokedcache.stores.redis.lockstep import lockstep
from yokedcache.stores.redis.sync import LIMIT
from yokedcache.stores.redis.trips import Trip, taken
from yokedcache.stores.redis.wire import READ_ONLY, RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import TypeAlias

    from yokedcache.stores.redis.batches import Tell
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.sentinel import AsyncPrimary
    from yokedcache.stores.redis.wire import Steps

    Together: TypeAlias = Callable[[list[Operation[Any]], Link], Steps[list[Any]]]

T = TypeVar("T")


async def learn(connection: Any) -> None:
    """
    Learn whom a new connection leads to; redis-py calls it instead of `on_connect`.
    """
    connection.yokedcache = None
    try:
        await connection.on_connect()
        looked = time.monotonic()
        await connection.send_packed_command([INFO], check_health=False)
        server = read_info(await connection.read_response(disable_decoding=True))
    except BaseException:
        # left open it would be taken from the pool as one that is known
        await connection.disconnect(nowait=True)
        raise
    connection.yokedcache = Link(server, looked, os.urandom)


PLAIN: Final[dict[str, Any]] = {
    "retry": Retry(NoBackoff(), 0),
    # answers are the same in both, and nothing is pushed in between
    "protocol": 2,
    # else each connection looks up its library's version in files, and sends it
    "driver_info": None,
}
"""What every client is made with, of sentinels as well."""

LIMITS: Final[dict[str, Any]] = {
    # each operation has one time limit of its own, over all that it does
    "socket_timeout": None,
    "socket_connect_timeout": None,
    # one for each of a crowd would all be opened at once, and none of them in time
    "max_connections": 8,
}

OPTIONS: Final[dict[str, Any]] = {
    **PLAIN,
    "redis_connect_func": learn,
    "decode_responses": False,
    **LIMITS,
}
"""What a client of ours is made with."""


def connect(url: str, **options: Any) -> redis.asyncio.Redis:
    """
    Make a client for one server, which connects when it is first used.
    """
    return redis.asyncio.Redis.from_url(url, **{**OPTIONS, **options})


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

    async def aclose(self) -> None:
        """
        Close all connections.
        """
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
        if line is not None:
            self._send(line, folded, operations, seconds, tell)
        return line is not None

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
        self._send(line, how, operations, seconds, partial(_settle, done))
        return await done

    def _send(
        self,
        line: Lasting,
        how: Together,
        operations: list[Operation[Any]],
        seconds: float,
        tell: Tell,
    ) -> None:
        steps = self._steps(how, operations, line.connection.yokedcache)
        Trip(line, operations, steps, partial(self._over, tell)).begin(seconds)

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

        late = all(operation.late for operation in operations)
        return led(begin, link, late=late)

    def _over(self, tell: Tell, trip: Trip, outcome: list[Any] | Exception) -> None:
        """
        Tell what came of a trip; keep the connection, unless it isn't good any more.
        """
        connection, clean = trip.line.connection, False
        if isinstance(outcome, list):
            clean = self._told(outcome, trip.operations, connection)
        elif isinstance(outcome, RefusedError):
            clean = _of_use(outcome)
        if clean:
            self.lines.give(trip.line)
        else:
            self._soon(self._close(trip.line))
        look_ups = trip.operations[0].look is not None
        if look_ups and isinstance(outcome, ConnectionLost):  # while it was free, maybe
            self._soon(self._look_up_again(trip, tell))
        elif isinstance(outcome, (*CAUGHT, RefusedError, StoreError)):
            tell(self._error(outcome, trip.operations[0].asked, connection))
        else:
            tell(outcome)

    async def _look_up_again(self, trip: Trip, tell: Tell) -> None:
        try:
            tell(await self.look_up(trip.operations, trip.line.left))
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
        if not clean:
            # what is still to be answered must not answer somebody else
            await connection.disconnect(nowait=True)
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
        if line is None:
            return await self._opening(how, operations, countdown.left)
        if self._leads_on(line) and not line.has_heard:
            return await self._sent(line, how, operations, countdown.left)
        await self._close(line)
        return await self._using(how, operations, countdown.left)

    async def _opening(
        self, how: Together, operations: list[Operation[Any]], seconds: float
    ) -> list[Any]:
        """
        Open a connection and have operations done over it; it stays, if it can.
        """
        connection, asked, clean = None, operations[0].asked, False
        try:
            async with within(seconds):
                connection = await self.pool.get_connection()
                steps = self._steps(how, operations, connection.yokedcache)
                results = await taken(connection, steps)
            clean = self._told(results, operations, connection)
        except (*CAUGHT, RefusedError, StoreError) as error:
            clean = isinstance(error, RefusedError) and _of_use(error)
            made = self._error(error, asked, connection)
            raise made from made.__cause__
        else:
            return results
        finally:
            line = Lasting.over(connection) if clean else None
            if line is not None:
                self.lines.give(line)
            else:
                try:
                    if connection is not None:
                        await self._let_go(connection, clean=clean)
                finally:
                    self.lines.leave()

    async def _check(self) -> None:
        """
        Make sure that what is open leads to the primary; let go of what doesn't.
        """
        if self._primary is not None:
            await self._primary.check()
        free = self.lines.free
        for line in [one for one in free if not self._leads_on(one)]:
            free.remove(line)
            await self._close(line)

    def _told(
        self, results: list[Any], operations: list[Operation[Any]], connection: Any
    ) -> bool:
        """
        Make errors of what was refused; tell whether the connection is still good.
        """
        clean = True
        for place, result in enumerate(results):
            if isinstance(result, RefusedError):
                clean = clean and _of_use(result)
                asked = operations[place].asked
                results[place] = self._error(result, asked, connection)
        return clean

    def _error(self, error: Exception, asked: str, connection: Any) -> StoreError:
        made = store_error(error, asked, whereabouts(connection, self.pool))
        made.__cause__ = (
            error.refusal.error if isinstance(error, RefusedError) else error
        )
        return made


def _of_use(error: RefusedError) -> bool:
    """
    Tell whether what refused something may be asked something else.
    """
    return error.refusal.code != READ_ONLY


def _settle(
    done: asyncio.Future[list[Any]], outcome: list[Any] | BaseException
) -> None:
    if done.done():  # its caller was cancelled
        return
    if isinstance(outcome, BaseException):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)

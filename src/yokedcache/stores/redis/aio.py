"""
The event loop's driver, over redis-py's `asyncio.Redis`.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from yokedcache.errors import StoreError
from yokedcache.stores.redis.faults import (
    CAUGHT,
    address_of,
    refusal,
    store_error,
)
from yokedcache.stores.redis.incarnation import TRUSTED, Link, read_info
from yokedcache.stores.redis.sync import INFO, INFO_REPLICATION, LIMIT
from yokedcache.stores.redis.wire import READ_ONLY, RefusedError, Request, fine

if TYPE_CHECKING:
    from yokedcache.stores.redis.operations import Operation

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


OPTIONS: Final[dict[str, Any]] = {
    "retry": Retry(NoBackoff(), 0),
    "redis_connect_func": learn,
    "decode_responses": False,
    # answers are the same in both, and nothing is pushed in between
    "protocol": 2,
    # else each connection looks up its library's version in files, and sends it
    "driver_info": None,
    # each operation has one time limit of its own, over all that it does
    "socket_timeout": None,
    "socket_connect_timeout": None,
}
"""What a client of ours is made with."""


def connect(url: str, **options: Any) -> redis.asyncio.Redis:
    """
    Make a client for one server, which connects when it is first used.
    """
    return redis.asyncio.Redis.from_url(url, **{**OPTIONS, **options})


class AsyncRedisStore:
    """
    Performs operations over a client made with `OPTIONS`; the caller closes that.
    """

    name = "redis"

    def __init__(self, client: redis.asyncio.Redis, *, limit: float = LIMIT) -> None:
        self.client = client
        self.limit = limit
        self.pool: Any = client.connection_pool
        # the pool has no queue, and fails whoever comes while all are in use
        self._places = asyncio.Semaphore(self.pool.max_connections)

    async def perform(self, operation: Operation[T], limit: float | None = None) -> T:
        """
        Do an operation, connecting included, within so many seconds.

        Those who find all connections in use wait their turn within that time.
        """
        pool = self.pool
        connection: Any = None
        held = clean = False
        try:
            async with asyncio.timeout(self.limit if limit is None else limit):
                held = await self._places.acquire()
                connection = await pool.get_connection()
                result = await self._follow(connection, operation)
                clean = True
        except RefusedError as error:
            clean = error.refusal.code != READ_ONLY
            raise self._error(
                error, operation.asked, connection
            ) from error.refusal.error
        except (*CAUGHT, StoreError) as error:
            raise self._error(error, operation.asked, connection) from error
        else:
            return result
        finally:
            if connection is not None:
                if not clean:
                    # what is still to be answered must not answer somebody else
                    await connection.disconnect(nowait=True)
                await pool.release(connection)
            if held:
                self._places.release()

    async def _follow(self, connection: Any, operation: Operation[T]) -> T:
        link: Link = connection.yokedcache
        fresh = time.monotonic() - link.looked_at < TRUSTED
        if not fresh and not operation.late:
            await self._look(connection, link)
            fresh = True
        steps = operation.steps(link)
        try:
            request = next(steps)
            if not fresh:
                answers = await self._look(connection, link, request)
                request = steps.send(answers)
            while True:
                request = steps.send(await _ask(connection, request))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def _look(
        self, connection: Any, link: Link, request: Request | None = None
    ) -> list[Any]:
        """
        Learn anew whom a connection leads to, in one go with a request.
        """
        packed, count = (request.packed, request.count) if request else (b"", 0)
        looked = time.monotonic()
        both = Request(INFO_REPLICATION + packed, count + 1)
        said, *answers = await _ask(connection, both)
        link.server = link.server.renewed(fine(said))
        link.looked_at = looked
        return answers

    def _error(self, error: BaseException, asked: str, connection: Any) -> StoreError:
        known = vars(connection) if connection is not None else {}
        facts = known if "host" in known or "path" in known else {}
        return store_error(
            error, asked, address_of(facts or self.pool.connection_kwargs)
        )


async def _ask(connection: Any, request: Request) -> list[Any]:
    await connection.send_packed_command([request.packed])
    answers: list[Any] = []
    for _ in range(request.count):
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(refusal(error))
    return answers

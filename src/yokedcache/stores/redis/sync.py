"""
The blocking driver, over redis-py's `Redis`.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import ResponseError
from redis.retry import Retry

from yokedcache.errors import StoreError
from yokedcache.stores.frames import without_frames
from yokedcache.stores.redis.faults import (
    CAUGHT,
    refusal,
    store_error,
    whereabouts,
)
from yokedcache.stores.redis.incarnation import INFO, Link, led, read_info
from yokedcache.stores.redis.lockstep import lockstep
from yokedcache.stores.redis.operations import Operation
from yokedcache.stores.redis.timed import kind_of, timed
from yokedcache.stores.redis.wire import RefusedError, Request
from yokedcache.stores.waiting import wait_for, within

if TYPE_CHECKING:
    from yokedcache.stores.redis.sentinel import Primary

T = TypeVar("T")

LIMIT: Final = 0.05
"""Seconds that an operation takes at most unless the caller says otherwise."""

LASTING: Final = 2
"""
Connections that look-ups keep, at most: a pool looks at each that it gives out, which
takes as long as a look-up does.
"""


def learn(connection: Any) -> None:
    """
    Learn whom a new connection leads to; redis-py calls it instead of `on_connect`.
    """
    connection.yokedcache = None
    try:
        connection.on_connect()
        looked = time.monotonic()
        connection.send_packed_command([INFO], check_health=False)
        server = read_info(connection.read_response(disable_decoding=True))
    except BaseException:
        # left open it would be taken from the pool as one that is known
        connection.disconnect()
        raise
    connection.yokedcache = Link(server, looked, os.urandom)


def greet(connection: Any) -> None:
    """
    Begin a connection of which nothing is learnt, as one to a sentinel.

    An answer is read: what TLS 1.3 sends by itself after its handshake lies before that,
    and redis-py takes a connection on which something lies for one that can't be used.
    """
    connection.on_connect()
    connection.send_command("PING", check_health=False)
    with suppress(ResponseError):  # a user may not be allowed to: that is an answer too
        connection.read_response()


PLAIN: Final[dict[str, Any]] = {
    "retry": Retry(NoBackoff(), 0),
    # answers are the same in both, and nothing is pushed in between
    "protocol": 2,
    # else each connection looks up its library's version in files, and sends it
    "driver_info": None,
    # each operation has one time limit of its own, over all that it does
    "socket_timeout": None,
    "socket_connect_timeout": None,
}
"""What every client is made with."""

GREETED: Final[dict[str, Any]] = {**PLAIN, "redis_connect_func": greet}
"""What those are made with that ask of whom nothing is learnt."""

OPTIONS: Final[dict[str, Any]] = {
    **PLAIN,
    "redis_connect_func": learn,
    "decode_responses": False,
}
"""What a client of ours is made with."""


def connect(url: str, **options: Any) -> redis.Redis:
    """
    Make a client for one server, which connects when it is first used.
    """
    kind = timed(options.pop("connection_class", None) or kind_of(url))
    told = {**OPTIONS, **options, "connection_class": kind}
    return redis.Redis.from_url(url, **told)


class RedisStore:
    """
    Performs operations over a client made with `OPTIONS`.

    `primary` knows whether that client still leads where it should.
    """

    name = "redis"

    def __init__(
        self,
        client: redis.Redis,
        *,
        limit: float = LIMIT,
        primary: Primary | None = None,
    ) -> None:
        self.client = client
        self._primary = primary
        self.limit = limit
        self.pool: Any = client.connection_pool
        # the pool has no queue, and fails whoever comes while all are in use
        self._places = threading.Semaphore(self.pool.max_connections)
        self._lasting: list[Any] = []
        self._most_lasting = min(LASTING, self.pool.max_connections // 2)

    def close(self) -> None:
        """
        Close all connections.
        """
        (self._primary or self.client).close()

    def perform(self, operation: Operation[T], limit: float | None = None) -> T:
        """
        Do an operation, connecting included, within so many seconds.

        Those who find all connections in use wait their turn within that time. Look-ups
        go over a connection that stays with them, if there is one that is free.
        """
        with within(self.limit if limit is None else limit):
            if operation.look is None:
                return self._using(None, operation, lasts=False)
            try:
                lasting = self._lasting.pop()
            except IndexError:  # another thread may have had the last
                return self._using(None, operation, lasts=True)
            try:
                return self._using(lasting, operation, lasts=True)
            except StoreError as error:
                if not isinstance(error.__cause__, ConnectionLost):
                    raise
                without_frames(error)
            # it was closed while nobody used it
            return self._using(None, operation, lasts=True)

    def perform_all(
        self, operations: list[Operation[Any]], seconds: float
    ) -> list[Any]:
        """
        Do operations on one connection; give the result of each, or its `StoreError`.
        """
        steps = partial(lockstep, operations)
        late = all(operation.late for operation in operations)
        asked = operations[0].asked
        results = self.perform(Operation(asked, steps, late=late), seconds)
        for place, result in enumerate(results):
            if isinstance(result, RefusedError):
                asked = operations[place].asked
                results[place] = self._error(result, asked, None)
        return results

    def _using(self, lasting: Any, operation: Operation[T], *, lasts: bool) -> T:
        """
        Have an operation followed on one connection, which may last for look-ups.
        """
        pool, connection, clean = self.pool, lasting, False
        held = lasting is not None
        try:
            self._check(connection)
            if connection is None:
                held = self._take_place()
                connection = pool.get_connection()
            result = self._follow(connection, operation)
            clean = True
        except (*CAUGHT, RefusedError, StoreError) as error:
            clean = isinstance(error, RefusedError) and not error.of_a_replica
            opens = self.pool if connection is None else None
            made = self._error(error, operation.asked, connection, opens)
            try:
                raise made from made.__cause__
            finally:
                del made  # it knows this frame
        else:
            return result
        finally:
            if clean and lasts and len(self._lasting) < self._most_lasting:
                self._lasting.append(connection)
            elif connection is not None:
                if not clean:
                    # what is still to be answered must not answer somebody else
                    connection.disconnect()
                pool.release(connection)
                self._places.release()
            elif held:
                self._places.release()

    def _check(self, connection: Any) -> None:
        """
        Make sure that a connection, if there is one, still leads to the primary.
        """
        if self._primary is not None:
            self._primary.check()
            if connection is not None and not self.pool.owns_connection(connection):
                raise ConnectionLost("another server is the primary now")

    def _take_place(self) -> bool:
        if not wait_for(self._places):
            raise StoreError("all connections are in use")
        return True

    def _follow(self, connection: Any, operation: Operation[T]) -> T:
        link: Link = connection.yokedcache
        steps = led(partial(operation.steps, link), link, late=operation.late)
        try:
            request = next(steps)
            while True:
                request = steps.send(_ask(connection, request))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _error(
        self, error: BaseException, asked: str, connection: Any, opens: Any = None
    ) -> StoreError:
        address = whereabouts(connection, self.pool)
        return store_error(error, asked, address, opens=opens)


def _ask(connection: Any, request: Request) -> list[Any]:
    connection.send_packed_command([request.packed])
    answers: list[Any] = []
    for _ in range(request.count):
        try:
            answers.append(connection.read_response())
        except ResponseError as error:
            answers.append(refusal(error))
    return answers

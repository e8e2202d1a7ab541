"""
The way to the primary of a service, as its sentinels name it.

They are asked before each new connection, one after the other until one of them names a
primary that it holds to be alive; and again once `ASKED_AGAIN` has passed, before
anything is sent over a connection that is open. A server that was a primary can go on
answering for some time after another was promoted: cut off from the others it doesn't
know, and after a failover by command Sentinel makes a replica of it only seconds later.
So a process that hears of the new one leaves the old one at once, and one that reaches
no sentinel takes itself to be cut off and asks nobody.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio
from redis.asyncio import sentinel as loops
from redis.connection import parse_url
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    ResponseError,
)
from redis.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from yokedcache.errors import StoreError
from yokedcache.stores import waiting
from yokedcache.stores.frames import without_frames
from yokedcache.stores.patience import within
from yokedcache.stores.redis.faults import CAUGHT, address_of
from yokedcache.stores.redis.timed import kind_of, timed
from yokedcache.stores.waiting import wait_for

if TYPE_CHECKING:
    from yokedcache.stores.addresses import Address
    from yokedcache.stores.redis.ways import Way

ASKED_AGAIN: Final = 1.0
"""Seconds for which what the sentinels said is relied on."""

_UNSAID: Final = "it doesn't watch that service"
_DOWN: Final = "it holds the primary to be down"
_BARRED: Final = "its user (sentinel_username=) may not ask it"

_parse_url: Any = parse_url


class _Asked:
    """
    The sentinels of one service: what was heard of them last.

    The client library's pools ask it for the primary's address.
    """

    def __init__(self, way: Way, client: Any, limit: float, plain: Any) -> None:
        self.sentinels = [
            client.from_url(way.watchers, host=host, port=port, **plain)
            for host, port in way.hosts
        ]
        self._limit = limit
        self._each = limit / 2
        """Seconds for each of them: the next one may answer."""
        self._heard = 0.0

    @property
    def due(self) -> bool:
        """
        Tell whether they have to be asked again.
        """
        return time.monotonic() - self._heard > ASKED_AGAIN

    def _take(
        self, client: Any, states: Any, service: str, asked: float, said: list[str]
    ) -> Address | None:
        """
        Give the primary that a sentinel names; else note why it names none.
        """
        state = states.get(service)
        if (
            state
            and state["is_master"]
            and not (state["is_sdown"] or state["is_odown"])
        ):
            self._heard = max(self._heard, asked)
            # the one that answers is asked first; a new list, others walk the old one
            others = [one for one in self.sentinels if one is not client]
            self.sentinels = [client, *others]
            return state["ip"], state["port"]
        said.append(f"{_where(client)}: {_DOWN if state else _UNSAID}")
        return None


class Primary(_Asked):
    """
    The primary of a service, for threads.
    """

    def __init__(
        self, way: Way, options: dict[str, Any], limit: float, plain: dict[str, Any]
    ) -> None:
        kind = timed(kind_of(way.watchers))
        super().__init__(way, redis.Redis, limit, {**plain, "connection_class": kind})
        told = {**options, **_told(way.url)}
        tls = told.pop("ssl", False)
        kind = SentinelManagedSSLConnection if tls else SentinelManagedConnection
        told["connection_class"] = timed(kind)
        make: Any = SentinelConnectionPool
        self._pool = make(way.service, self, **told)
        self.client = redis.Redis.from_pool(self._pool)
        self._asking = threading.Lock()

    def check(self) -> None:
        """
        Let go of connections to whom the sentinels don't call the primary any more.
        """
        if not self.due:
            return
        if not wait_for(self._asking):
            raise StoreError("the sentinels take too long to say who the primary is")
        try:
            if self.due:  # else another thread has asked
                self._pool.get_master_address()
        finally:
            self._asking.release()

    def discover_master(self, service: str) -> Address:
        """
        Ask who the primary is.
        """
        said: list[str] = []
        for client in self.sentinels:
            asked = time.monotonic()
            try:
                with waiting.within(self._each):
                    states = client.sentinel_masters()
            except (*CAUGHT, ResponseError) as error:
                said.append(_failed(client, error))
                continue
            found = self._take(client, states, service, asked, said)
            if found is not None:
                return found
        raise _unknown(service, said)

    def close(self) -> None:
        """
        Close all connections, to the servers and to the sentinels.
        """
        for client in (self.client, *self.sentinels):
            client.close()


class AsyncPrimary(_Asked):
    """
    The same in an event loop.
    """

    def __init__(
        self, way: Way, options: dict[str, Any], limit: float, plain: dict[str, Any]
    ) -> None:
        super().__init__(way, redis.asyncio.Redis, limit, plain)
        told = {**options, **_told(way.url)}
        make: Any = loops.SentinelConnectionPool
        self._pool = make(way.service, self, **told)
        self.client = redis.asyncio.Redis.from_pool(self._pool)
        self._asking = asyncio.Lock()

    async def check(self) -> None:
        """
        Let go of connections to whom the sentinels don't call the primary any more.
        """
        if not self.due:
            return
        async with self._asking:
            if self.due:  # else another task has asked
                await self._pool.get_master_address()

    def leads(self, connection: Any) -> bool:
        """
        Tell whether a connection is one to the primary that was named last.

        (The pool's own way to tell is broken in this client library.)
        """
        primary: Address | None = self._pool.master_address
        return primary == (connection.host, connection.port)

    async def discover_master(self, service: str) -> Address:
        """
        Ask who the primary is.
        """
        said: list[str] = []
        for client in self.sentinels:
            asked = time.monotonic()
            try:
                async with within(self._each):
                    states = await client.sentinel_masters()
            except (*CAUGHT, ResponseError) as error:
                said.append(_failed(client, error))
                continue
            found = self._take(client, states, service, asked, said)
            if found is not None:
                return found
        raise _unknown(service, said)

    async def aclose(self) -> None:
        """
        Close all connections, to the servers and to the sentinels.
        """
        for client in (self.client, *self.sentinels):
            await client.aclose()


def _told(url: str) -> dict[str, Any]:
    """
    Give what a URL says of connections, as a pool that makes its own kind of them takes it.
    """
    told: dict[str, Any] = _parse_url(url)
    if told.pop("connection_class", None) is not None:
        told["ssl"] = True
    return told


def _where(client: Any) -> str:
    return address_of(client.connection_pool.connection_kwargs)


def _failed(client: Any, error: Exception) -> str:
    without_frames(error)
    if isinstance(error, AuthenticationError):
        why = f"it wants a password or another one (sentinel_password=): {error}"
    elif isinstance(error, NoPermissionError):
        why = f"{_BARRED}: {error}"
    elif isinstance(error, ResponseError | InvalidResponse):
        why = f"it answers as no sentinel does: {error}"
    else:
        why = f"it can't be reached: {error!s:.200}"
    return f"{_where(client)}: {why}"


def _unknown(service: str, said: list[str]) -> StoreError:
    """
    Say why no sentinel names a primary, and the way out.
    """
    if all(one.endswith(_UNSAID) for one in said):
        out = "the URL's path has to be a name that `SENTINEL MASTERS` lists"
    elif any(one.endswith(_DOWN) for one in said):
        out = "a failover may be under way"
    elif any(_BARRED in one for one in said):
        out = "the ACL of that user lacks `+sentinel|masters`"
    else:
        out = "the URL's hosts have to be sentinels that this process reaches"
    return StoreError(
        f"no sentinel names a primary of {service!r} ({'; '.join(said)}): {out}",
        service=service,
    )

"""
Waiting in an event loop.
"""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from yokedcache.stores.patience import within
from yokedcache.stores.postgresql.faults import CAUGHT, RefusedError
from yokedcache.stores.postgresql.links import MOST, Links, was_left
from yokedcache.stores.postgresql.talking import READ, WRITE, Link, follow

if TYPE_CHECKING:
    from yokedcache.stores.postgresql.making import Schema
    from yokedcache.stores.postgresql.operations import Operation
    from yokedcache.stores.postgresql.talking import Waits


class Loop:
    """
    Does operations in one event loop; a few at once, the others wait their turn.
    """

    def __init__(self, conninfo: str, schema: Schema) -> None:
        self._conninfo = conninfo
        self._schema = schema
        self._links = Links()
        self._places = asyncio.Semaphore(MOST)
        self.close = self._links.close
        self.disown = self._links.disown

    @property
    def met(self) -> bool:
        """
        Whether anybody has answered as PostgreSQL does.
        """
        return self._links.met

    async def perform(self, operation: Operation[Any], limit: float) -> Any:
        """
        Do an operation within so many seconds.
        """
        async with within(limit) as countdown, self._places:
            while True:
                link = self._links.take() or await self._connect()
                try:
                    return await _drive(
                        link,
                        follow(link, operation, self._schema, lambda: countdown.left),
                    )
                except (*CAUGHT, RefusedError) as error:
                    if not was_left(link, error):
                        raise
                    self._links.close()
                finally:
                    self._links.give_back(link)

    async def _connect(self) -> Link:
        """
        Begin to connect; names of hosts are looked up first, since libpq waits for them.
        """
        facts = conninfo_to_dict(self._conninfo)
        if facts.get("host") and not facts.get("hostaddr"):
            facts = await _resolved(facts)
        return Link(make_conninfo("", **facts).encode())


async def _resolved(facts: dict[str, Any]) -> dict[str, Any]:
    hosts = str(facts["host"]).split(",")
    ports = str(facts.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    if len(ports) != len(hosts) or any(not host or host[0] in "/@" for host in hosts):
        return facts  # sockets, or what libpq is to complain about
    found = [
        (host, address, port)
        for host, port in zip(hosts, ports, strict=True)
        for address in await _addresses(host)
    ]
    if not found:
        return facts
    names, addresses, places = map(",".join, zip(*found, strict=True))
    return {**facts, "host": names, "hostaddr": addresses, "port": places}


async def _addresses(host: str) -> list[str]:
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError:
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _drive(link: Link, steps: Waits) -> Any:
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(await _wait(link.pg.socket, wanted))
    except StopIteration as stop:
        return stop.value


async def _wait(socket: int, wanted: int) -> int:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[int] = loop.create_future()
    if wanted & READ:
        loop.add_reader(socket, _settle, ready, READ)
    if wanted & WRITE:
        loop.add_writer(socket, _settle, ready, WRITE)
    try:
        return await ready
    finally:
        if wanted & READ:
            loop.remove_reader(socket)
        if wanted & WRITE:
            loop.remove_writer(socket)


def _settle(ready: asyncio.Future[int], what: int) -> None:
    if not ready.done():
        ready.set_result(what)

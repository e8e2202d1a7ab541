"""
Many clients on kept connections: they read, now and then write, and look at what they get.

Versions of an order only grow. Whoever begins to read after a write was answered must be
given that version or a later one, whichever worker answers.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

READS = ("/orders/{}", "/orders/{}/total")
KEPT = 200
"""
Requests after which a client connects anew, more or less: of several workers one takes all
the connections that are waiting when it looks.
"""
PATIENCE = 30.0
"""Seconds after which a request counts as failed."""


class FailedError(Exception):
    """
    A request that wasn't answered as it should be.
    """


@dataclass(slots=True)
class Seen:
    """
    What the clients saw.
    """

    reads: list[float] = field(default_factory=list)
    """Seconds that each read took."""
    writes: list[float] = field(default_factory=list)
    stale: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Connection:
    """
    A connection that is kept, speaking as much HTTP as the application does.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str) -> Any:
        """
        Send a request; give what the answer says.
        """
        if self._reader is None or self._writer is None:
            opened = await asyncio.open_connection("127.0.0.1", self._port)
            self._reader, self._writer = opened
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: soak\r\nContent-Length: 0\r\n\r\n".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        # uvicorn's workers send an answer in two packets, and the second waits until the
        # first was acknowledged: else that is what would be measured, 40 ms of it
        quick: Any = self._writer.get_extra_info("socket")
        quick.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = await self._reader.readexactly(length)
        status = head.split(" ", 2)[1]
        if status != "200":
            raise FailedError(f"{status} for {method} {path.rpartition('/')[0]}")
        return json.loads(body)

    async def close(self) -> None:
        """
        Let it go; the next request opens another.
        """
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


class Load:
    """
    Clients that ask one application until they are told to stop.
    """

    def __init__(self, port: int, *, orders: int, writes: float, seed: int) -> None:
        self.seen = Seen()
        self._port = port
        self._orders = orders
        self._writes = writes
        self._seed = seed
        self._known: Counter[int] = Counter()
        """The greatest version of each order that a write was answered with."""

    async def run(self, clients: int, until: Callable[[], bool]) -> None:
        """
        Have so many clients at it.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                dice = random.Random(f"{self._seed} {number}")
                group.create_task(self._client(dice, until))

    async def _client(self, dice: random.Random, until: Callable[[], bool]) -> None:
        connection = Connection(self._port)
        while not until():
            if dice.randrange(KEPT) == 0:
                await connection.close()
            order = dice.randint(1, self._orders)
            try:
                async with asyncio.timeout(PATIENCE):
                    if dice.random() < self._writes:
                        await self._write(connection, order)
                    else:
                        await self._read(connection, dice.choice(READS), order)
            except (OSError, EOFError, ValueError, FailedError) as error:
                self.seen.errors[f"{type(error).__name__}: {error}"] += 1
                await connection.close()
        await connection.close()

    async def _read(self, connection: Connection, path: str, order: int) -> None:
        known, began = self._known[order], time.perf_counter()
        answer = await connection.ask("GET", path.format(order))
        self.seen.reads.append(time.perf_counter() - began)
        self.seen.stale += answer["version"] < known

    async def _write(self, connection: Connection, order: int) -> None:
        began = time.perf_counter()
        answer = await connection.ask("POST", f"/orders/{order}")
        self.seen.writes.append(time.perf_counter() - began)
        self._known[order] = max(self._known[order], answer["version"])

"""
A TCP proxy that breaks connections in the ways in which networks and servers do.

It stands before any server of the tests and runs in a thread of its own. What a test
tells it holds as soon as the call returns, and `wait_until` waits for what comes by:
no test has to sleep. `lines` does the work on each connection.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tests.services.lines import Connection, Rule, Seen, Way
from tests.services.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

__all__ = ["Proxy", "Seen", "Way"]

LIMIT = 10.0

T = TypeVar("T")


class Proxy:
    """
    A context manager; clients connect to its `port` instead of the server's.
    """

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self.target = target
        self.host = "127.0.0.1"
        self.port = free_port()
        self.seen = Seen()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._rules = {way: Rule() for way in Way}
        self._connections: set[Connection] = set()
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.accept()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """
        Reset all connections, and end.
        """
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()

    def restore(self) -> None:
        """
        Pass everything on again, and accept connections.

        What was held goes on its way; what is delayed arrives when it was due. A
        connection that has lost bytes is reset: no network delivers what follows a gap.
        """
        self._do(self._restore())

    def delay(self, *, to_server: float = 0.0, to_client: float = 0.0) -> None:
        """
        Let what comes from now on arrive so many seconds later.
        """
        self._set((Way.TO_SERVER,), delay=to_server)
        self._set((Way.TO_CLIENT,), delay=to_client)

    def drip(self, piece: int, every: float, way: Way = Way.TO_CLIENT) -> None:
        """
        Let so many bytes arrive at once, the next ones so many seconds later.
        """
        self._set((way,), piece=piece, every=every)

    def hold(self, *ways: Way) -> None:
        """
        Keep bytes back until `restore`, both ways unless one is named.
        """
        self._do(self._hold(ways))

    def swallow(self, *ways: Way) -> None:
        """
        Let bytes vanish, both ways unless one is named; connecting still works.
        """
        self._set(ways, swallow=True)

    def cut(self) -> int:
        """
        Reset all connections as a crashed machine does; return how many there were.
        """
        return self._do(self._cut())

    def cut_after(self, count: int, way: Way = Way.TO_CLIENT) -> None:
        """
        Let so many more bytes through, then reset the connection that brings more.

        With 0, the server does what it is asked, and nobody hears of it. Once.
        """
        self._set((way,), cut_after=count)

    def half_close(self, way: Way = Way.TO_CLIENT) -> None:
        """
        End one line of every open connection (FIN); the other one stays.
        """
        self._do(self._half_close(way))

    def refuse(self) -> None:
        """
        Refuse new connections; those that are open stay.
        """
        self._do(self._refuse())

    def accept(self) -> None:
        """
        Accept connections again, on the same port.
        """
        self._do(self._accept())

    def wait_until(self, true: Callable[[Seen], bool]) -> None:
        """
        Return when what has come by makes this true; fail at a limit.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: true(self.seen), LIMIT):
                message = f"not within {LIMIT} s: {self.seen}"
                raise TimeoutError(message)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT)

    def _set(self, ways: tuple[Way, ...], **what: Any) -> None:
        self._do(self._change(ways, what))

    # from here on, in the loop's thread

    async def _change(self, ways: tuple[Way, ...], what: dict[str, Any]) -> None:
        for way in ways or Way:
            for name, value in what.items():
                setattr(self._rules[way], name, value)

    async def _hold(self, ways: tuple[Way, ...]) -> None:
        for way in ways or Way:
            self._rules[way].free.clear()

    async def _restore(self) -> None:
        for rule in self._rules.values():
            rule.delay, rule.swallow, rule.cut_after, rule.every = 0.0, False, None, 0.0
            rule.free.set()
        for connection in [c for c in self._connections if c.gap]:
            await connection.cut()
        await self._accept()

    async def _cut(self) -> int:
        self._take()
        connections = list(self._connections)
        for connection in connections:
            await connection.cut()
        return len(connections)

    async def _half_close(self, way: Way) -> None:
        for connection in self._connections:
            connection.half_close(way)

    async def _refuse(self) -> None:
        if self._listener:
            self._take()
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _accept(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((self.host, self.port))
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        """
        Take in all who have connected, so that nobody is missed by what follows.
        """
        while self._listener:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            connection = Connection(client, self.target, self._rules, self._count)
            self._connections.add(connection)
            connection.when_done(self._leave)
            with self._changed:
                self.seen.connections += 1
                self.seen.open += 1
                self._changed.notify_all()

    def _leave(self, connection: Connection) -> None:
        self._connections.discard(connection)
        with self._changed:
            self.seen.open -= 1
            self._changed.notify_all()

    def _count(self, what: str, way: Way, number: int) -> None:
        with self._changed:
            getattr(self.seen, what)[way] += number
            self._changed.notify_all()

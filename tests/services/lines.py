"""
What a `Proxy` does with one connection: two lines, each under a rule that may change.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

CHUNK = 1 << 16
# close now, forget what wasn't sent, tell the other side with RST
_ABRUPT = struct.pack("ii", 1, 0)


class Way(Enum):
    """
    A direction, named after who receives.
    """

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


@dataclass(slots=True)
class Rule:
    """
    What happens to bytes that go one way.
    """

    delay: float = 0.0
    piece: int = CHUNK
    """
    So many bytes arrive at once, and the next ones `every` seconds later.
    """
    every: float = 0.0
    swallow: bool = False
    cut_after: int | None = None
    free: asyncio.Event = field(default_factory=asyncio.Event)
    """
    Not set while bytes are held back.
    """

    def __post_init__(self) -> None:
        self.free.set()


@dataclass(slots=True)
class Seen:
    """
    What has come by so far: connections, and bytes each way.
    """

    connections: int = 0
    open: int = 0
    arrived: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(Way, 0))
    passed: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(Way, 0))
    swallowed: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(Way, 0))


class _CutError(Exception):
    pass


class Connection:
    """
    A client's connection and the one to the server that belongs to it.
    """

    def __init__(
        self,
        client: socket.socket,
        target: tuple[str, int] | Path,
        rules: Mapping[Way, Rule],
        count: Callable[[str, Way, int], None],
    ) -> None:
        self.gap = False
        """
        Whether bytes of it were lost.
        """
        self._target = target
        self._rules = rules
        self._count = count
        self._abrupt = False
        self._ended: set[Way] = set()
        # by who receives what is written there
        self._ends = {Way.TO_CLIENT: client}
        _prepare(client)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def cut(self) -> None:
        """
        Reset both sides.
        """
        self._abrupt = True
        self._task.cancel()
        await asyncio.wait([self._task])
        self._close()

    def half_close(self, way: Way) -> None:
        """
        End one line, as if the sender had nothing more to say.
        """
        self._ended.add(way)
        if end := self._ends.get(way):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_WR)

    def when_done(self, do: Callable[[Connection], None]) -> None:
        """
        Call this, with the connection, when both sides are closed.
        """
        self._task.add_done_callback(lambda _: do(self))

    async def _run(self) -> None:
        try:
            if self._rules[Way.TO_SERVER].swallow:
                self.gap = True
                await self._vanish(self._ends[Way.TO_CLIENT])
            else:
                self._ends[Way.TO_SERVER] = await _connect(self._target)
                await self._carry()
        except* (OSError, _CutError):
            self._abrupt = True
        finally:
            self._close()

    async def _carry(self) -> None:
        async with asyncio.TaskGroup() as lines:
            for way, other in zip(Way, reversed(Way), strict=True):
                queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
                lines.create_task(self._receive(way, self._ends[other], queue))
                lines.create_task(self._send(way, self._ends[way], queue))

    async def _vanish(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while chunk := await loop.sock_recv(client, CHUNK):
            self._count("arrived", Way.TO_SERVER, len(chunk))
            self._count("swallowed", Way.TO_SERVER, len(chunk))

    async def _receive(
        self,
        way: Way,
        source: socket.socket,
        queue: asyncio.Queue[tuple[float, bytes]],
    ) -> None:
        loop = asyncio.get_running_loop()
        chunk = b"more"
        while chunk:
            chunk = await loop.sock_recv(source, CHUNK)
            queue.put_nowait((loop.time() + self._rules[way].delay, chunk))
            self._count("arrived", way, len(chunk))

    async def _send(
        self,
        way: Way,
        sink: socket.socket,
        queue: asyncio.Queue[tuple[float, bytes]],
    ) -> None:
        loop, rule = asyncio.get_running_loop(), self._rules[way]
        chunk = b"more"
        while chunk:
            due, chunk = await queue.get()
            await asyncio.sleep(due - loop.time())
            await rule.free.wait()
            if way in self._ended:
                continue
            if rule.swallow:
                self.gap = True
                self._count("swallowed", way, len(chunk))
            elif chunk:
                await self._pass(way, sink, chunk)
            else:
                sink.shutdown(socket.SHUT_WR)

    async def _pass(self, way: Way, sink: socket.socket, chunk: bytes) -> None:
        rule, cut = self._rules[way], False
        if rule.cut_after is not None:
            cut = len(chunk) > rule.cut_after
            chunk = chunk[: rule.cut_after]
            rule.cut_after = None if cut else rule.cut_after - len(chunk)
        loop = asyncio.get_running_loop()
        while chunk:
            piece, chunk = chunk[: rule.piece], chunk[rule.piece :]
            await loop.sock_sendall(sink, piece)
            self._count("passed", way, len(piece))
            if rule.every:
                await asyncio.sleep(rule.every)
        if cut:
            raise _CutError

    def _close(self) -> None:
        for end in self._ends.values():
            if self._abrupt and end.fileno() >= 0:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
            end.close()


async def _connect(target: tuple[str, int] | Path) -> socket.socket:
    address = target if isinstance(target, tuple) else str(target)
    inet = isinstance(address, tuple)
    end = socket.socket(socket.AF_INET if inet else socket.AF_UNIX)
    _prepare(end)
    try:
        await asyncio.get_running_loop().sock_connect(end, address)
    except BaseException:
        end.close()
        raise
    return end


def _prepare(end: socket.socket) -> None:
    end.setblocking(False)
    if end.family == socket.AF_INET:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

"""
Processes that share a store, as the tests have them: several clients in one.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, Final

from yokedcache.stores.answers import Miss, Times

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.answers import Operation, RaisedFence, Stamp
    from yokedcache.stores.contract import Client

NEVER_LATE: Final = 20.0
"""Seconds for an operation where the test is not about time."""

PATIENCE: Final = 30.0
"""Seconds within which what has to come must have come."""

TIMES: Final = Times(1.0, 61.0, 121.0)

_TOKENS = itertools.count(1)


class Process:
    """
    A client, asked from threads or from an event loop, and short ways to ask it.
    """

    def __init__(self, client: Client, face: str) -> None:
        self.client = client
        self.commands = client.commands
        self._runner = asyncio.Runner() if face == "async" else None
        self._closed = False

    def do(self, operation: Operation[Any], limit: float = NEVER_LATE) -> Any:
        """
        Do an operation.
        """
        if self._runner is None:
            return self.client.perform(operation, limit)
        return self._runner.run(self._do_async(operation, limit))

    async def _do_async(self, operation: Operation[Any], limit: float) -> Any:
        return await self.client.perform_async(operation, limit)

    def stamp(self, *tags: str, keep: float = 60.0) -> Stamp:
        """
        Take the versions of tags.
        """
        stamp: Stamp = self.do(self.commands.stamp(tags, keep=keep))
        return stamp

    def put(self, key: str, payload: bytes, stamp: Stamp) -> str | None:
        """
        Store an entry; give why it was not.
        """
        storing = self.commands.store(key, payload, stamp, TIMES, life=60.0)
        refused: str | None = self.do(storing)
        return refused

    def fill(self, key: str, payload: bytes, *tags: str) -> str | None:
        """
        Store what is loaded at once.
        """
        return self.put(key, payload, self.stamp(*tags))

    def read(self, key: str, *tags: str) -> bytes | str:
        """
        Give the payload of an entry, or why there is none.
        """
        found = self.do(self.commands.read(key, tags))
        return found.reason if isinstance(found, Miss) else bytes(found.payload)

    def fence(self, *tags: str, owner: str = "") -> RaisedFence:
        """
        Bump tags and fence them.
        """
        token = b"suite%d-%d" % (time.time_ns(), next(_TOKENS))
        raised: RaisedFence = self.do(self.commands.fence(tags, token, owner))
        return raised

    def lift(self, fence: RaisedFence) -> int:
        """
        Bump a fence's tags and take it down; give on how many it was missing.
        """
        return int(self.do(self.commands.lift(fence)).missing)

    def bump(self, *tags: str) -> bytes:
        """
        Make everything that depends on one of the tags unservable.
        """
        version: bytes = self.do(self.commands.bump(tags))
        return version

    def close(self) -> None:
        """
        End as a process does that has been told to; more than once is fine.
        """
        if self._closed:
            return
        self._closed = True
        if self._runner is None:
            self.client.close()
            return
        self._runner.run(self.client.close_async())
        self._runner.close()


def wait_until(condition: Callable[[], Any]) -> None:
    """
    Wait for what others do, or time does.
    """
    ends = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > ends:
            message = f"not within {PATIENCE:.0f} s: {condition}"
            raise AssertionError(message)
        time.sleep(0.01)

"""
An engine whose SELECTs can be held back, and limits on patience.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.util.concurrency import await_only, in_greenlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from yokedcache import YokedCache

LIMIT = 20.0
"""No test waits longer for anything."""


class Held:
    """
    Holds one SELECT of an engine after it was executed, in thread or task.
    """

    def __init__(self, engine: Engine, *, nth: int = 1) -> None:
        self.selects = 0
        self.begun = threading.Event()
        self._gate = threading.Event()
        self._nth = nth
        self._engine = engine
        event.listen(engine, "after_cursor_execute", self._executed)

    def release(self) -> None:
        """
        Let everyone go on.
        """
        self._gate.set()

    def remove(self) -> None:
        """
        Hold nothing any more.
        """
        self.release()
        if event.contains(self._engine, "after_cursor_execute", self._executed):
            event.remove(self._engine, "after_cursor_execute", self._executed)

    def _executed(self, _c: Any, _k: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SELECT"):
            return
        self.selects += 1
        if self.selects != self._nth:
            return
        self.begun.set()
        if in_greenlet():
            await_only(self._released())
        else:
            assert self._gate.wait(LIMIT)

    async def _released(self) -> None:
        end = time.monotonic() + LIMIT
        while not self._gate.is_set():
            assert time.monotonic() < end
            await asyncio.sleep(0)


def waiting_for(cache: YokedCache) -> int:
    """
    Count the callers that wait for a flight.
    """
    return sum(map(len, list(cache.machine.terminal._waiting.values())))


def flights_of(cache: YokedCache) -> int:
    """
    Count the flights that callers could wait for.
    """
    return len(cache.machine.terminal._table)


def until(done: Callable[[], bool]) -> None:
    """
    Let other threads go on until something is so.
    """
    end = time.monotonic() + LIMIT
    pause = threading.Event()
    while not done():
        assert time.monotonic() < end, "it never came to that"
        pause.wait(0.001)


async def until_async(done: Callable[[], bool]) -> None:
    """
    Let other tasks go on until something is so.
    """
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0)


async def within(work: Any) -> Any:
    """
    Await something, for so long and no longer.
    """
    return await asyncio.wait_for(work, LIMIT)

"""
What tests of waiting share: a source that can be held back, and limits on patience.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache import YokedCache
    from yokedcache.core.flights import Seat
    from yokedcache.runtime.flights import Terminal

LIMIT = 5.0
"""No test waits longer for anything."""


class Loads:
    """
    A source that may be held back, and counts.
    """

    def __init__(self) -> None:
        self.count = 0
        self.begun = threading.Event()
        self.gate = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.count += 1
            number = self.count
        self.begun.set()
        assert self.gate.wait(LIMIT)
        return number


def terminal_of(cache: YokedCache) -> Any:
    machine: Any = cache.sync._machine
    return machine.terminal


def waiting_for(cache: YokedCache) -> int:
    return sum(map(len, terminal_of(cache)._waiting.values()))


def until(done: Callable[[], bool]) -> None:
    """
    Let other threads go on until something is so.
    """
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end
        time.sleep(0)


async def within(work: Any) -> Any:
    return await asyncio.wait_for(work, LIMIT)


def board(terminal: Terminal, key: str, *, blocking: bool = False) -> Seat:
    return terminal.board(key, blocking=blocking, may_lead=True, may_wait=True)


def flight_of(seat: Seat) -> Any:
    assert seat.flight is not None
    return seat.flight

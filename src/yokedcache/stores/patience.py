"""
Time limits in an event loop, which don't count while their loop is kept from looking.

A loop with too much to do, or a process that isn't given its processor, comes round late:
answers lie there by then, and alarms are due in the same turn. Who gives up then has the
work done again at the database, and the loop has still more to do. So a limit is counted
down in parts: where it was much longer than that between two looks, one part counts.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

PARTS: Final = 10
"""How often a loop looks before a limit is over; twice as late as it should, half as often."""

_LATE: Final = 2.0
"""Parts from which on a look is so late that one counts."""


class Countdown:
    """
    One limit at a time, `over` being called when it has passed.

    The alarm that it takes stays set after a `stop`, for a next limit to find it.
    """

    __slots__ = ("_alarm", "_left", "_looked", "_loop", "_over", "_part", "_runs")

    def __init__(self, over: Callable[[], None]) -> None:
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        self._runs = False
        self._left = self._part = self._looked = 0.0

    @property
    def left(self) -> float:
        """
        The seconds that are left.
        """
        passed = self._loop.time() - self._looked
        if passed > _LATE * self._part:
            passed = self._part
        return max(self._left - passed, 0.0)

    def start(self, seconds: float) -> None:
        """
        Begin to count a limit down.
        """
        self._left, self._part = seconds, seconds / PARTS
        self._looked, self._runs = self._loop.time(), True
        self._set()

    def stop(self) -> None:
        """
        Let it pass without a word.
        """
        self._runs = False

    def close(self) -> None:
        """
        Stop, and set no alarm any more.
        """
        self.stop()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set(self) -> None:
        rings = self._looked + min(self._left, self._part)
        if self._alarm is not None:
            if self._alarm.when() <= rings:
                return
            self._alarm.cancel()
        self._alarm = self._loop.call_at(rings, self._look)

    def _look(self) -> None:
        self._alarm = None
        if not self._runs:
            return
        self._left, self._looked = self.left, self._loop.time()
        if self._left > 0.0:
            self._set()
        else:
            self._runs = False
            self._over()


@contextmanager
def counting(
    seconds: float, over: Callable[[], None] = lambda: None
) -> Iterator[Countdown]:
    """
    Count a limit down while something is done.
    """
    countdown = Countdown(over)
    countdown.start(seconds)
    try:
        yield countdown
    finally:
        countdown.close()


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[Countdown]:
    """
    Cancel what is done in here once so many seconds have been counted down.

    Raises:
        TimeoutError: it was.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        # it waits a turn, in which what has arrived is given to who waits for it
        with counting(seconds, lambda: timeout.reschedule(loop.time())) as countdown:
            yield countdown

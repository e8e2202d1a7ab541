"""
Time limits in an event loop, which don't count while their loop is kept from looking.

A loop with too much to do, or a process that isn't given its processor, comes round late:
answers lie there by then, and alarms are due in the same turn. Who gives up then has the
work done again at the database, and the loop has still more to do. So a limit is counted
down in parts: where it was more than two of them between two looks, one counts.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

PARTS: Final = 10
"""So often a late loop looks before a limit is over; half as often if it is hardly late."""

_LATE: Final = 2.0
"""Parts from which on a look is so late that one counts."""


class Countdown:
    """
    One limit at a time, `over` being called when it has passed.

    The alarm that it takes stays set after a `stop`, for a next limit to find it.
    """

    __slots__ = (
        "_alarm",
        "_left",
        "_looked",
        "_loop",
        "_over",
        "_part",
        "_rings",
        "_runs",
    )

    def __init__(self, over: Callable[[], None]) -> None:
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        self._runs = False
        self._left = self._part = self._looked = self._rings = 0.0

    @property
    def left(self) -> float:
        """
        The seconds that are left; once it is closed they don't get fewer any more.
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
        if self._alarm is None or self._rings > self._looked + self._part:
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
        if self._alarm is not None:
            self._alarm.cancel()
        self._rings = self._looked + min(self._left, self._part)
        self._alarm = self._loop.call_at(self._rings, self._look)

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
def counting(seconds: float) -> Iterator[Countdown]:
    """
    Count a limit down while something is done, which has to look itself what is left.
    """
    countdown = Countdown(lambda: None)
    countdown.start(seconds)
    try:
        yield countdown
    finally:
        countdown.close()


class within:  # noqa: N801 - as `asyncio.timeout`; a loop that ends closes generators
    """
    Cancel what is done in here once so many seconds have been counted down.

    Raises:
        TimeoutError: it was.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._countdown = Countdown(self._end)

    async def __aenter__(self) -> Countdown:
        await self._timeout.__aenter__()
        self._countdown.start(self._seconds)
        return self._countdown

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._countdown.close()
        await self._timeout.__aexit__(kind, error, traceback)

    def _end(self) -> None:
        # it waits a turn, in which what has arrived is given to who waits for it
        self._timeout.reschedule(asyncio.get_running_loop().time())

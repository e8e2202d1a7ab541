"""
How long a store that failed is left alone: the breaker.

Without it every read would wait for a server that hangs, up to the limit of each. A few
failures in a row open it: then nothing is asked for a while, which doubles each time
that the one who asks next fails as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES: Final = 3
"""In a row, after which the store is left alone."""

SHORTEST: Final = 0.25
LONGEST: Final = 5.0
"""Seconds for which it is, at first and at most."""


class Breaker:
    """
    Whether a store may be asked now.

    Threads may race in it: then one more or one less of them asks.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.troubled = False
        """It failed, and hasn't answered since."""
        self._failures = 0
        self._pause = 0.0
        self._until = 0.0

    @property
    def failing(self) -> bool:
        """
        Tell whether the store has failed a few times, and not answered since.
        """
        return bool(self._pause)

    @property
    def open(self) -> bool:
        """
        Tell whether the store is to be left alone; the one who is told no may try it.
        """
        if not self._pause:
            return False
        now = self._clock()
        if now < self._until:
            return True
        self._until = now + self._pause  # others wait for what this one meets
        return False

    def failed(self) -> bool:
        """
        Note that the store failed; tell whether that opens the breaker.
        """
        self.troubled = True
        self._failures += 1
        if self._failures < FAILURES:
            return False
        first = not self._pause
        self._pause = min(LONGEST, 2 * self._pause or SHORTEST)
        self._until = self._clock() + self._pause
        return first

    def answered(self) -> bool:
        """
        Note that the store answered; tell whether it had been left alone.
        """
        was = bool(self._pause)
        self._failures = 0
        self._pause = 0.0
        self.troubled = False
        return was

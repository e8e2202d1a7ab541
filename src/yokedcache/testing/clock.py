"""
A clock that stands still until it is moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.core.durations import seconds

if TYPE_CHECKING:
    from yokedcache.core.durations import Duration


class FakeClock:
    """
    Tells a cache the time that a test wants it to be.
    """

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """
        Tell the time.
        """
        return self.now

    def advance(self, duration: Duration) -> None:
        """
        Move forward: seconds, a `timedelta` or `"5m"`.
        """
        self.now += seconds(duration, name="duration", allow_zero=True)

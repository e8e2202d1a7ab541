"""
What a process knows of a server's memory: when it may have lost something, and its clock.

Memcached forgets what it has no room for, and says how often it has. A tag that isn't
there may have been lost with somebody's fence in it, unless the server has lost nothing
for a lease: within that time living writers put theirs back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOSSES: Final = (b"evict", b"cmd_flush", b"busy_deletes", b"from_extstore")
"""Parts of the names of what counts things that are gone before their time."""

_MARGIN: Final = 3.0
"""Seconds by which a server's age may be less than it says."""

RELIED: Final = 60.0
"""Seconds after which a server's clock is asked for again."""


class Memory:
    """
    One server's memory, as this process has met it.

    Editors: threads race here; what each of them notes is true by itself.
    """

    def __init__(self) -> None:
        self._life: tuple[Any, ...] | None = None
        self._losses = 0
        self._origin: bytes | None = None
        self._since = 0.0
        """Since when nothing was lost that this process has noticed."""
        self._clock: tuple[int, float] | None = None

    def observe(self, stats: Mapping[bytes, Any], now: float) -> None:
        """
        Take what a server says of itself, at a moment of this process's own clock.
        """
        started = stats[b"time"] - stats[b"uptime"]
        losses = sum(
            value
            for name, value in stats.items()
            if isinstance(value, int) and any(part in name for part in _LOSSES)
        )
        life = (stats[b"pid"], started, losses)
        if life != self._life:
            # one that has lost nothing yet is as sure as it is old
            fresh = self._life is None and not losses
            age = max(0.0, stats[b"uptime"] - _MARGIN) if fresh else 0.0
            self._since = now - age
            self._life, self._losses = life, losses
        self._clock = (stats[b"time"] * 1000, now)

    def is_young(self, origin: bytes, lease: int, now: float) -> bool:
        """
        Tell whether something may have been lost within so many milliseconds.

        A counter that began anew was lost itself, and others may have been with it.
        """
        if origin != self._origin:
            # one that is met for the first time may be as new, if anything was lost
            if self._origin is not None or self._losses:
                self._since = now
            self._origin = origin
        return now - self._since < lease / 1000

    def time(self, now: float) -> int | None:
        """
        Tell the server's time in milliseconds; `None` if it has to be asked first.
        """
        if self._clock is None or now - self._clock[1] > RELIED:
            return None
        told, at = self._clock
        return told + round((now - at) * 1000)

"""
What a process knows of a server's memory: when it may have lost something, and its clock.

Memcached forgets what it has no room for, and says how often it has. A tag that isn't
there may have been lost with somebody's fence in it, unless the server has lost nothing
for a lease: within that time living writers put theirs back.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOSSES: Final = (b"evict", b"cmd_flush", b"busy_deletes", b"from_extstore")
"""Parts of the names of what counts things that are gone before their time."""

_MOVING: Final = b"slab_reassign_running"
"""What is lost while a server moves a page is counted when that is done."""

_MARGIN: Final = 3.0
"""Seconds by which a server's age may be less than it says."""

RELIED: Final = 60.0
"""Seconds after which a server's clock is asked for again."""

PROMPT: Final = 1.0
"""Seconds within which a server has to tell its time, that it can be relied on."""


class Memory:
    """
    One server's memory, as this process has met it.

    Editors: threads race here, and what one of them was told may be noted late, after
    what another one was told since.
    """

    def __init__(self) -> None:
        self._life: tuple[Any, ...] | None = None
        self._losses = 0
        self._origin: bytes | None = None
        self._since = -math.inf
        """Since when nothing was lost that this process has noticed."""
        self._clock: tuple[int, float] | None = None
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """
        Have a lock that no thread of the parent holds, in a child after a fork.
        """
        self._lock = threading.Lock()

    def observe(self, stats: Mapping[bytes, Any], asked: float, now: float) -> None:
        """
        Take what a server says of itself, and when it was asked for that on this clock.
        """
        losses = sum(
            value
            for name, value in stats.items()
            if isinstance(value, int) and any(part in name for part in _LOSSES)
        )
        life = (stats[b"pid"], stats[b"time"] - stats[b"uptime"])
        moving = stats.get(_MOVING, False)
        with self._lock:
            if (life, losses) != (self._life, self._losses) or moving:
                # one that has lost nothing yet is as sure as it is old
                fresh = self._life is None and not losses and not moving
                age = max(0.0, stats[b"uptime"] - _MARGIN) if fresh else 0.0
                self._since = max(self._since, now - age)
            if now - asked <= PROMPT:
                self._set_clock(stats[b"time"] * 1000, asked, same=life == self._life)
            self._life, self._losses = life, losses

    def _set_clock(self, told: int, asked: float, *, same: bool) -> None:
        if same and self._clock is not None:
            before, at = self._clock
            if told + 2000 * PROMPT < before + (asked - at) * 1000:
                # it has hung, and goes on before it has looked at its own clock
                self._clock = None
                return
        self._clock = (told, asked)

    def is_young(self, origin: bytes, lease: int, now: float) -> bool:
        """
        Tell whether something may have been lost within so many milliseconds.

        A counter that began anew was lost itself, and others may have been with it.
        """
        with self._lock:
            if origin != self._origin:
                # one that is met for the first time may be as new, if anything was lost
                if self._origin is not None or self._losses:
                    self._since = max(self._since, now)
                self._origin = origin
            return now - self._since < lease / 1000

    def time(self, now: float) -> int | None:
        """
        Tell the server's time in milliseconds; `None` if it has to be asked first.
        """
        if (clock := self._clock) is None or now - clock[1] > RELIED:
            return None
        told, at = clock
        return told + round((now - at) * 1000)

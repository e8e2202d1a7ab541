"""
Times of entries, in this process and in the shared store.

A process tells time by a clock that nobody sets; what it stores goes by the wall's,
which others can read. A wrong clock makes a TTL wrong, and never an entry valid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from yokedcache.core.entry import Entry, Lifetime
from yokedcache.stores.answers import Times

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.core.tags import Vector
    from yokedcache.shared.payloads import Told


_FAR: Final = 1e12
"""Seconds from 1970 that no clock shows, however wrong it is."""


def possible(times: Times) -> bool:
    """
    Tell whether a store gave times at all: it may keep any numbers, and none (NaN).
    """
    return abs(times.born) + abs(times.fresh_until) + abs(times.stale_until) < _FAR


class Timing:
    """
    Both clocks of a process.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall

    def times(self, entry: Entry) -> tuple[Times, float]:
        """
        Give the times under which an entry is stored, and how many seconds it lives.
        """
        born = self._wall() - (self._clock() - entry.born)
        shift = born - entry.born
        times = Times(born, entry.fresh_until + shift, entry.stale_until + shift)
        return times, entry.gone_at - entry.born

    def renewed(self, entry: Entry, ttl: float) -> tuple[Times, float]:
        """
        Give the same for an entry that is to live for `ttl` seconds from now.
        """
        now = self._wall()
        stale = entry.stale_until - entry.fresh_until
        life = ttl + entry.gone_at - entry.fresh_until
        return Times(now, now + ttl, now + ttl + stale), life

    def entry(self, told: Told, vector: Vector, times: Times, size: int) -> Entry:
        """
        Make an entry of what the shared store gave.
        """
        age = max(0.0, self._wall() - times.born)
        stale = times.stale_until - times.fresh_until
        lifetime = Lifetime(
            times.fresh_until - times.born,
            stale=stale,
            on_error=told.on_error + stale,
            early=told.early,
        )
        return Entry(
            told.value,
            copier=told.copier,
            vector=vector,
            born=self._clock() - age,
            cost=told.cost,
            lifetime=lifetime,
            weight=size,
        )

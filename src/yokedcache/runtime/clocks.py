"""
The clocks and the dice; the core is handed their readings.

One monotonic clock stands for all times in a process, so that no adjustment of
the wall clock makes an answer live longer or shorter.
"""

from __future__ import annotations

import random
import time

monotonic = time.monotonic


def draw() -> float:
    """
    Give a uniform random number in (0, 1].
    """
    return 1.0 - random.random()  # noqa: S311 - spreads load


def jitter(ttl: float, share: float) -> float:
    """
    Shorten a TTL by up to `share` of it, so that siblings don't end together.
    """
    return ttl * (1.0 - share * random.random())  # noqa: S311 - spreads load

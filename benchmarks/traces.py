"""
Request traces for `hit_ratio`: Zipf, with scans, and drifting.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

Trace = Callable[[int], Iterator[int]]
"""Gives so many keys, the same ones each time."""

KEYS = 50_000
SCAN_EVERY = 20_000
SCAN_LENGTH = 5_000
DRIFT_EVERY = 20_000
DRIFT_BY = 200
"""Of the most wanted keys, how many places each moves at a drift."""


def zipf(exponent: float) -> Trace:
    """
    Keys of which the n-th is asked for in proportion to n ** -exponent.
    """

    def trace(requests: int) -> Iterator[int]:
        return iter(_draw(exponent, requests))

    return trace


def with_scans(exponent: float) -> Trace:
    """
    The same, and now and then a pass over keys that nobody asks for again.
    """

    def trace(requests: int) -> Iterator[int]:
        fresh = itertools.count(KEYS)
        for number, key in enumerate(_draw(exponent, requests), 1):
            yield key
            if not number % SCAN_EVERY:
                yield from itertools.islice(fresh, SCAN_LENGTH)

    return trace


def drifting(exponent: float) -> Trace:
    """
    The same, but which keys are wanted most changes as time goes on.
    """

    def trace(requests: int) -> Iterator[int]:
        for number, rank in enumerate(_draw(exponent, requests)):
            yield (rank + number // DRIFT_EVERY * DRIFT_BY) % KEYS

    return trace


def _draw(exponent: float, requests: int) -> list[int]:
    weights = itertools.accumulate(n**-exponent for n in range(1, KEYS + 1))
    dice = random.Random(7)
    names = list(range(KEYS))
    return dice.choices(names, cum_weights=list(weights), k=requests)


TRACES: dict[str, Trace] = {
    **{f"zipf {e}": zipf(e) for e in (0.9, 1.0, 1.1)},
    **{f"zipf {e}, scans": with_scans(e) for e in (0.9, 1.0, 1.1)},
    "zipf 1.0, drifting": drifting(1.0),
}

"""
How long it takes until hits come back.

A hit is a read without a SELECT of its own, which did not wait for another's either: no
read of the same row and process that sent one was under way at the same time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from consistency.events import MARKS, WRITE, Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from consistency.nemeses import Strike


class Recovery(NamedTuple):
    """
    Times from the ends of strikes until hits were back: for the victim, else for most.
    """

    times: tuple[int, ...]
    """In nanoseconds, of the strikes after which there was one before the next."""
    never: int
    """Strikes after which there was none before the next, or the end."""


def recovery(events: Iterable[Event], strikes: Sequence[Strike]) -> Recovery:
    """
    Find how long hits were away after each strike.
    """
    reads = [e for e in events if e.way != WRITE and e.way not in MARKS]
    hits = _hits(reads)
    if not reads:
        return Recovery((), len(strikes))
    last = max(read.ended for read in reads)
    ends = [strike.began for strike in strikes[1:]] + [last]
    times, never = [], 0
    for strike, end in zip(strikes, ends, strict=True):
        # who read nothing any more had nothing to hit
        there = {e.process for e in reads if strike.ended < e.began < end}
        if strike.victim in there:
            there = {strike.victim}
        firsts = sorted(_first(hits[process], strike.ended, end) for process in there)
        most = firsts[len(firsts) // 2] if firsts else end
        if most < end:
            times.append(most - strike.ended)
        else:
            never += 1
    return Recovery(tuple(times), never)


def _first(hits: list[int], after: int, before: int) -> int:
    place = bisect_left(hits, after)
    return hits[place] if place < len(hits) else before


def _hits(reads: list[Event]) -> defaultdict[int, list[int]]:
    """
    Give the times at which hits began, in order, by process.
    """
    loads: defaultdict[tuple[int, int], list[Event]] = defaultdict(list)
    for read in sorted(reads, key=lambda event: event.ended):
        if read.loaded:
            loads[read.process, read.row].append(read)
    hits: defaultdict[int, list[int]] = defaultdict(list)
    for read in sorted(reads, key=lambda event: event.began):
        if not read.loaded and not _waited(read, loads[read.process, read.row]):
            hits[read.process].append(read.began)
    return hits


def _waited(read: Event, loads: list[Event]) -> bool:
    """
    Tell whether a load was under way; they are in the order in which they ended.
    """
    place = bisect_left(loads, read.began, key=lambda load: load.ended)
    # the tasks of a process are few, so few of these began before
    return any(load.began < read.ended for load in loads[place : place + 64])

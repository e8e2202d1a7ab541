"""
Which reads were answered by the cache.

A hit is a read without a SELECT of its own, which did not wait for another's either: no
read of the same row and process that sent one was under way at the same time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING

from consistency.events import MARKS, WRITE, Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def reads_of(events: Iterable[Event]) -> list[Event]:
    """
    Give the reads that were answered, in the order in which they began.
    """
    reads = [e for e in events if e.way != WRITE and e.way not in MARKS]
    return sorted(reads, key=lambda event: event.began)


def hits_of(reads: Sequence[Event]) -> list[Event]:
    """
    Give those of all reads that are hits, in their order.
    """
    loads: defaultdict[tuple[int, int], list[Event]] = defaultdict(list)
    for read in sorted(reads, key=lambda event: event.ended):
        if read.loaded:
            loads[read.process, read.row].append(read)
    return [
        read
        for read in reads
        if not read.loaded and not _waited(read, loads[read.process, read.row])
    ]


def _waited(read: Event, loads: list[Event]) -> bool:
    """
    Tell whether a load was under way; they are in the order in which they ended.
    """
    place = bisect_left(loads, read.began, key=lambda load: load.ended)
    # the tasks of a process are few, so few of these began before
    return any(load.began < read.ended for load in loads[place : place + 64])

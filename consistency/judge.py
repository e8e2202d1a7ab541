"""
The judgement of a history: which reads no reader may have seen.

Values of a row only grow, each write by one, so a greater value is a later one. Only
what is certain counts: one event is before another if it ended before that began.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate, chain
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from consistency.events import MARKS, WRITE, Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Kind = Literal["stale", "backwards"]

_value = attrgetter("value")
_ended = attrgetter("ended")


@dataclass(frozen=True, slots=True)
class Violation:
    """
    A read that is older than an event before it: a write (stale) or a read (backwards).

    Of all such events it names the first write that returned, or the read that had
    seen most.
    """

    kind: Kind
    read: Event
    before: Event

    @property
    def age(self) -> int:
        """
        Nanoseconds between the end of one and the beginning of the other.
        """
        return self.read.began - self.before.ended


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a history shows.
    """

    reads: int
    writes: int
    on_written: int
    """Reads of rows that were ever written."""
    nanoseconds: int
    """From the first event's beginning to the last one's end."""
    stale: tuple[Violation, ...]
    backwards: tuple[Violation, ...]

    @property
    def good(self) -> bool:
        return not self.stale and not self.backwards

    @property
    def stale_share(self) -> float:
        """
        How many of the reads of rows ever written were stale, from 0 to 1.
        """
        return len(self.stale) / self.on_written if self.on_written else 0.0

    @property
    def worst(self) -> int:
        """
        How long the oldest value had been replaced when it was still given, in nanoseconds.
        """
        return max((violation.age for violation in self.stale), default=0)


@dataclass(slots=True)
class _Row:
    reads: list[Event] = field(default_factory=list)
    writes: list[Event] = field(default_factory=list)


def judge(events: Iterable[Event], *, near: float = 0.0) -> Verdict:
    """
    Judge a history, in any order of its events; takes O(n log n).

    With `near` a read may miss what another process has committed since so many seconds,
    and whether reads go back isn't judged.
    """
    bound = int(near * 1e9)
    rows: defaultdict[int, _Row] = defaultdict(_Row)
    first, last = None, 0
    for event in events:
        if event.way in MARKS:
            continue
        row = rows[event.row]
        (row.writes if event.way == WRITE else row.reads).append(event)
        first = event.began if first is None else min(first, event.began)
        last = max(last, event.ended)
    judged = (_stale_near(row, bound) if near else _stale(row) for row in rows.values())
    stale = chain.from_iterable(judged)
    seen = () if near else (_backwards(row.reads) for row in rows.values())
    backwards = chain.from_iterable(seen)
    return Verdict(
        reads=sum(len(row.reads) for row in rows.values()),
        writes=sum(len(row.writes) for row in rows.values()),
        on_written=sum(len(row.reads) for row in rows.values() if row.writes),
        nanoseconds=0 if first is None else last - first,
        stale=_in_order(stale),
        backwards=_in_order(backwards),
    )


def _stale_near(row: _Row, bound: int) -> Iterator[Violation]:
    """
    Find those that are older than a write of their own process, or by more than `bound`.
    """
    far = list(_stale(row, bound))
    yield from far
    found = {violation.read for violation in far}
    for process in {write.process for write in row.writes}:
        own = _Row(
            reads=[one for one in row.reads if one.process == process],
            writes=[one for one in row.writes if one.process == process],
        )
        yield from (one for one in _stale(own) if one.read not in found)


def _stale(row: _Row, bound: int = 0) -> Iterator[Violation]:
    """
    Find the reads that are older than a write which had returned when they began.

    Or so many nanoseconds before that.
    """
    writes = sorted(row.writes, key=_value)
    values = [write.value for write in writes]
    # of each write and all later ones, the one that returned first
    soonest = list(accumulate(reversed(writes), _sooner))[::-1]
    for read in row.reads:
        place = bisect_right(values, read.value)
        if place < len(writes) and soonest[place].ended < read.began - bound:
            yield Violation("stale", read, soonest[place])


def _backwards(reads: list[Event]) -> Iterator[Violation]:
    """
    Find the reads that are older than a read which had ended when they began.
    """
    by_end = sorted(reads, key=_ended)
    ends = [read.ended for read in by_end]
    # of each read and all that ended before it, the one that had seen most
    newest = list(accumulate(by_end, _newer))
    for read in reads:
        place = bisect_left(ends, read.began)
        if place and newest[place - 1].value > read.value:
            yield Violation("backwards", read, newest[place - 1])


def _sooner(one: Event, other: Event) -> Event:
    return one if one.ended <= other.ended else other


def _newer(one: Event, other: Event) -> Event:
    return one if one.value >= other.value else other


def _in_order(found: Iterable[Violation]) -> tuple[Violation, ...]:
    return tuple(sorted(found, key=lambda violation: violation.read.began))

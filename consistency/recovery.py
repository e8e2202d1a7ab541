"""
How long it takes until hits come back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from consistency.hits import hits_of, reads_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from consistency.events import Event
    from consistency.nemeses import Strike


class Recovery(NamedTuple):
    """
    When hits were back after each strike: those of the victim, else those of most.
    """

    times: tuple[int | None, ...]
    """
    In nanoseconds, from when the store was back; `None` if there was no hit before the
    next strike, or the end.
    """

    @property
    def known(self) -> list[int]:
        """
        Those of the strikes after which there was a hit.
        """
        return [one for one in self.times if one is not None]

    @property
    def never(self) -> int:
        """
        After how many there was none.
        """
        return len(self.times) - len(self.known)


def recovery(events: Iterable[Event], strikes: Sequence[Strike]) -> Recovery:
    """
    Find how long hits were away after each strike.
    """
    reads = reads_of(events)
    if not reads or not strikes:
        return Recovery((None,) * len(strikes))
    hits: defaultdict[int, list[int]] = defaultdict(list)
    for hit in hits_of(reads):
        hits[hit.process].append(hit.began)
    ends = [strike.began for strike in strikes[1:]]
    ends.append(max(read.ended for read in reads))
    found = (_one(reads, hits, *each) for each in zip(strikes, ends, strict=True))
    return Recovery(tuple(found))


def _one(
    reads: list[Event], hits: dict[int, list[int]], strike: Strike, end: int
) -> int | None:
    # who read nothing any more had nothing to hit
    there = {e.process for e in reads if strike.mended < e.began < end}
    if strike.victim in there:
        there = {strike.victim}
    firsts = sorted(_first(hits.get(one, []), strike.mended, end) for one in there)
    most = firsts[len(firsts) // 2] if firsts else end
    return most - strike.mended if most < end else None


def _first(hits: list[int], after: int, before: int) -> int:
    place = bisect_left(hits, after)
    return hits[place] if place < len(hits) else before

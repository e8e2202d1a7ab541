"""
What became of the writes: whose value is there, though nobody was told that it would be.

A row's values are raised by one, so all from 1 to the greatest were committed. For one
that no write returned, a write must be found whose outcome nobody knows: its process
was killed, or it failed in a way that says nothing. One that was refused was not sent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from consistency.events import BEGUN, BROKEN, MARKS, REFUSED, WRITE, Event

if TYPE_CHECKING:
    from collections.abc import Iterable


class Accounts(NamedTuple):
    """
    How writes and reads ended.
    """

    written: int
    refused: int
    broken: int
    """Writes that failed in another way."""
    unknown: int
    """Writes whose process was killed meanwhile."""
    answered: int
    unanswered: int
    unaccounted: int
    """Values that were committed by nobody who may have."""

    @property
    def reads_available(self) -> float:
        """
        Share of the reads that were answered.
        """
        return _share(self.answered, self.unanswered)

    @property
    def writes_available(self) -> float:
        """
        Share of the commits that succeeded, of those whose outcome is known.
        """
        return _share(self.written, self.refused + self.broken)


def account(events: Iterable[Event]) -> Accounts:
    """
    Count how all of it ended; each task's events come in its own order.
    """
    ways: Counter[int] = Counter()
    open_writes: dict[tuple[int, int], Event] = {}
    written: defaultdict[int, set[int]] = defaultdict(set)
    highest: Counter[int] = Counter()
    answered = 0
    unsure: Counter[int] = Counter()
    for event in events:
        task = event.process, event.task
        ways[event.way] += 1
        if event.way == BEGUN:
            open_writes[task] = event
            continue
        if event.way in (WRITE, REFUSED, BROKEN):
            open_writes.pop(task, None)
        if event.way == WRITE:
            written[event.row].add(event.value)
        elif event.way == BROKEN:
            unsure[event.row] += 1
        elif event.way not in MARKS:
            answered += 1
        highest[event.row] = max(highest[event.row], event.value)
    unknown = list(open_writes.values())
    unsure.update(event.row for event in unknown)
    return Accounts(
        written=ways[WRITE],
        refused=ways[REFUSED],
        broken=ways[BROKEN],
        unknown=len(unknown),
        answered=answered,
        unanswered=sum(ways[way] for way in MARKS - {BEGUN, REFUSED, BROKEN}),
        unaccounted=sum(
            max(0, highest[row] - len(written[row]) - unsure[row]) for row in highest
        ),
    )


def _share(good: int, bad: int) -> float:
    return good / (good + bad) if good + bad else 1.0

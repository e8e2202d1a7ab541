"""
Which writes need not be seen: those of one that was cut off and committed all the same.

It could tell nobody. Its excuse ends `TOLD_AFTER` after its outage does: a commit that
is begun later is judged like everybody's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consistency.events import WRITE, Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from consistency.judge import Violation
    from consistency.nemeses import Strike

TOLD_AFTER: Final = 1.0
"""
Seconds after an outage within which whoever was cut off has told what it owes, and tells
before it commits again. The page on shared stores promises it: what is owed is tried to
be told four times a second, and a commit is tried to be told however long look-ups
leave the store alone. So long others serve nothing when it answers them again.
"""


def unheard(history: Iterable[Event], strikes: Sequence[Strike]) -> set[Event]:
    """
    Give the writes that their process may have been unable to tell of.
    """
    times = [
        (one.victim, one.began, one.ended + int(TOLD_AFTER * 1e9)) for one in strikes
    ]
    return {
        event
        for event in history
        if event.way == WRITE
        and any(
            victim == event.process and began <= event.ended and event.began <= until
            for victim, began, until in times
        )
    }


def unexcused(
    backwards: Iterable[Violation], excused: Iterable[Event]
) -> list[Violation]:
    """
    Give the reads that went back behind anything that others were told of.

    Whoever tells of a change makes all that is older unservable, so one that misses a
    write which was told of is not excused by another that was not.
    """
    values = {(event.row, event.value) for event in excused}
    return [
        one
        for one in backwards
        if any(
            (one.read.row, value) not in values
            for value in range(one.read.value + 1, one.before.value + 1)
        )
    ]

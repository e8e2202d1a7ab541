"""
Tables that are written faster than their answers are read.

Each answer read from such a table is looked up, made, stored, and broken by the next
write before anybody was served from it: all cost, no gain. So a sample of the answers
that were stored last is kept in mind, and when they hardly served anyone and most are
broken, look-ups on the table are left out for a while: a second, then twice as long
each time that a new sample shows the same.

An answer that nobody asked for again while it still holds is no sign: it may be asked
for yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from yokedcache.core.entry import Entry
    from yokedcache.core.tags import Tag

SAMPLE: Final = 16
"""Answers on which it is judged."""

WORTH: Final = SAMPLE // 8
"""
Hits that a sample must have had: making and storing answers costs about what fewer save.
"""

SHORTEST: Final = 1.0
"""Seconds for which a hot table is left alone at first."""

LONGEST: Final = 8.0
"""Seconds for which it is left alone at most."""


class Heat:
    """
    Whether looking answers up on one table is worth it, as far as was seen.
    """

    __slots__ = ("_pause", "_sample", "until")

    def __init__(self) -> None:
        self.until = 0.0
        """When look-ups begin again; in the past while the table isn't hot."""
        self._pause = 0.0
        self._sample: list[tuple[Entry, Tag, int]] = []

    def stored(self, entry: Entry, tag: Tag, version: int, now: float) -> bool:
        """
        Take an answer that was stored into the sample; true if that makes the table hot.

        Args:
            entry: the answer.
            tag: the table's tag.
            version: the one under which the answer was stored.
            now: in seconds, by the clock of the store.
        """
        self._sample.append((entry, tag, version))
        if len(self._sample) < SAMPLE:
            return False
        sample, self._sample = self._sample, []
        broken = sum(tag.version != version for _, tag, version in sample)
        hits = sum(entry.hits for entry, _, _ in sample)
        if 2 * broken <= SAMPLE or hits >= WORTH:
            self._pause = 0.0
            return False
        self._pause = min(LONGEST, 2 * self._pause or SHORTEST)
        self.until = now + self._pause
        return True

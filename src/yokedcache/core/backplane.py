"""
How long answers near by may be given out, by what was heard of others' changes (rule 8).

A shared store announces each change of a tag, and a process asks it again and again what
was announced since it asked last. This is what the process knows by that; no I/O, no
clock: all times are readings of one clock that it was handed.

| | |
|---|---|
| `vouched` | taken before the last question was sent that was answered |
| `since` | taken after the answer from which it has followed without a gap |
| `heard` | for each tag: taken after its last announcement had arrived |
| `floor` | the newest of those in `heard` that there was no room for |

An answer that was last asked about at `asked`, and depends on some tags, may be given out
until `vouched` and the bound, if `asked` is later than `since`, than `floor`, and than
what `heard` says of each of the tags.

**Why it is never older than the bound.** Take a commit that returned before `vouched`. Its
last announcement (the bump that lifts its fence) was made before that, so before the
store gave the answer to the question that `vouched` is of. There are two cases.

1. It was made before the store gave the answer from which the process follows. That was
   before `since`, and so before `asked`: when the store was asked about the answer, the tag
   had its last version already, and the store said that the answer holds.
2. It was made later. Then it was told, by that question or an earlier one, for nothing is
   left out in between. It had arrived before the reading in `heard` (or `floor`) was
   taken, which is before `asked`: the same follows.

So what is given out is right for every commit that returned before `vouched`, and is given
out for no longer than the bound after it. It doesn't matter how late the answer arrived
that was asked for (a far read that is overtaken by its announcement), nor how late the
process gets to hear, nor whether it hears at all: then `vouched` stays where it is.

Editors: threads read (`until`) while one writes. So the writer moves `vouched` last, after
all that was told was noted, and readers take it first: whatever they compare then is at
least as new as what it stands for. Nothing in `heard` is dropped before `floor` stands for
it, and readers look at `floor` last.
"""

from __future__ import annotations

from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 10_000
"""Tags of which it is remembered when they were heard of last."""


class Backplane:
    """
    What one process has heard of the changes of all.

    Args:
        bound: seconds by which what is given out may be too old.
    """

    __slots__ = ("_bound", "_heard", "_most", "floor", "newest", "since", "vouched")

    def __init__(self, bound: float, *, most: int = MOST) -> None:
        self._bound = bound
        self._most = most
        self._heard: dict[bytes, float] = {}
        self.vouched = -inf
        self.since = inf
        self.floor = -inf
        self.newest = -inf
        """When anything was heard of last."""

    def begin(self, sent: float, arrived: float) -> None:
        """
        Follow from here on: what was announced before can't be told.
        """
        self.since = arrived
        self.vouched = sent

    def hear(self, tags: Iterable[bytes], arrived: float) -> None:
        """
        Note that tags were announced.
        """
        for tag in tags:
            self._heard[tag] = arrived
        if len(self._heard) > self._most:
            self._forget()
        self.newest = arrived

    def _forget(self) -> None:
        """
        Forget those of which it was heard longest ago; the floor stands for them.
        """
        ordered = sorted(self._heard.items(), key=itemgetter(1))
        kept = ordered[len(ordered) - self._most // 2 :]
        # first: who doesn't find a tag any more compares with it then
        self.floor = ordered[-len(kept) - 1][1]
        self._heard = dict(kept)

    def vouch(self, sent: float) -> None:
        """
        Note that all was heard that was announced before a question was sent.
        """
        self.vouched = sent

    def until(self, asked: float, tags: Iterable[bytes]) -> float:
        """
        Tell until when an answer may be given out that depends on some tags.
        """
        vouched = self.vouched
        if self.changed(asked, tags) or asked <= max(self.since, self.floor):
            return -inf
        return vouched + self._bound

    def changed(self, asked: float, tags: Iterable[bytes]) -> bool:
        """
        Tell whether one of some tags was heard of since something was asked.
        """
        if asked > self.newest:
            return False
        heard = self._heard  # once: it may be replaced
        return any(asked <= heard.get(tag, -inf) for tag in tags)

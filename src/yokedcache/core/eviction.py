"""
Who goes when the store is full: S3-FIFO with one bit.

After Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache
eviction (SOSP 2023). New keys enter a small queue (a tenth of the room); those
that were read there move to the main queue, the others leave and are remembered
by name for a while, so that a key that comes back soon enters the main queue at
once. A scan passes through the small queue and touches nothing else.

A hit only counts on its entry; this module runs when something is stored.
"read since I last looked" is `entry.hits != entry.seen`.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from yokedcache.core.tags import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from yokedcache.core.entry import Entry

NOWHERE: Final = 0
SMALL: Final = 1
MAIN: Final = 2

SMALL_SHARE: Final = 0.1
"""Part of the room that the small queue may take before it is drawn on first."""

LEAST_GHOSTS: Final = 64
"""Keys that are remembered after they left, however small the store is."""

SLACK: Final = 64
"""Seconds in which nothing ends any more that may be held beside the others."""


class S3Fifo:
    """
    The two queues and the memory of who left.

    Whoever leaves does so at once: a queue that kept the dead would keep their
    values, and the store's bounds would be a tale.
    """

    def __init__(self) -> None:
        self._queues: dict[int, OrderedDict[Entry, None]] = {
            SMALL: OrderedDict(),
            MAIN: OrderedDict(),
        }
        self._ghosts: dict[Hashable, None] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, entry: Entry, replaced: Entry | None = None) -> None:
        """
        Queue a new entry, in the place that its key has earned.
        """
        if replaced is not None and replaced.queue:
            queue = replaced.queue
            self.discard(replaced)
        elif self._ghosts.pop(entry.key, 0) is None:
            queue = MAIN
        else:
            queue = SMALL
        self._push(entry, queue)

    def discard(self, entry: Entry) -> None:
        """
        Forget an entry that left for another reason.
        """
        if entry.queue:
            del self._queues[entry.queue][entry]
            entry.queue = NOWHERE

    def victims(self) -> Iterator[Entry]:
        """
        Give entries that may go, worst first; each is out of the queues already.
        """
        while len(self):
            queue = SMALL if self._small_is_full() else MAIN
            victim = self._turn(queue)
            if victim is not None:
                yield victim

    def clear(self) -> None:
        """
        Forget everything.
        """
        for queue in self._queues.values():
            queue.clear()
        self._ghosts.clear()

    def _small_is_full(self) -> bool:
        small, main = len(self._queues[SMALL]), len(self._queues[MAIN])
        return not main or small > SMALL_SHARE * (small + main)

    def _turn(self, queue: int) -> Entry | None:
        entry, _ = self._queues[queue].popitem(last=False)
        entry.queue = NOWHERE
        if entry.hits != entry.seen and holds(entry.vector):
            entry.seen = entry.hits
            self._push(entry, MAIN)
            return None
        if queue == SMALL:
            self._remember(entry.key)
        return entry

    def _push(self, entry: Entry, queue: int) -> None:
        entry.queue = queue
        self._queues[queue][entry] = None

    def _remember(self, key: Hashable) -> None:
        ghosts = self._ghosts
        ghosts[key] = None
        if len(ghosts) > max(len(self), LEAST_GHOSTS):
            del ghosts[next(iter(ghosts))]


class Expiry:
    """
    Entries by the second in which they end, so that no sweep looks at them all.
    """

    def __init__(self, drop: Callable[[Entry], None]) -> None:
        self._buckets: dict[int, set[Entry]] = {}
        self._seconds: list[int] = []
        self._drop = drop

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def note(self, entry: Entry) -> None:
        """
        Remember when an entry ends; `forget` it before that is changed.
        """
        second = _ends(entry)
        bucket = self._buckets.get(second)
        if bucket is None:
            bucket = self._buckets[second] = set()
            heapq.heappush(self._seconds, second)
        bucket.add(entry)

    def forget(self, entry: Entry) -> None:
        """
        Let go of an entry that left, or whose end is about to be changed.
        """
        second = _ends(entry)
        bucket = self._buckets.get(second)
        if bucket is not None:
            bucket.discard(entry)
            if not bucket:
                del self._buckets[second]
                self._tidy()

    def run(self, now: float) -> None:
        """
        Drop what has ended.
        """
        while self._seconds and self._seconds[0] <= now:
            for entry in self._buckets.pop(heapq.heappop(self._seconds), ()):
                self._drop(entry)

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._buckets.clear()
        self._seconds.clear()

    def _tidy(self) -> None:
        if len(self._seconds) > 2 * len(self._buckets) + SLACK:
            self._seconds = sorted(self._buckets)


def _ends(entry: Entry) -> int:
    return int(entry.gone_at) + 1

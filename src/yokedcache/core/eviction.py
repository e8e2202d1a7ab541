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
from collections import deque
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

SLACK: Final = 64
"""Dead entries that a queue may hold beside the living before it is rebuilt."""


class S3Fifo:
    """
    The two queues and the memory of who left.
    """

    def __init__(self) -> None:
        self._queues: dict[int, deque[Entry]] = {}
        self._living: dict[int, int] = {}
        self._ghosts: dict[Hashable, None] = {}
        self.clear()

    def __len__(self) -> int:
        return self._living[SMALL] + self._living[MAIN]

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
        Forget an entry that left for another reason; its place is reclaimed later.
        """
        queue = entry.queue
        if queue:
            entry.queue = NOWHERE
            self._living[queue] -= 1
            self._compact(queue)

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
        self._queues = {SMALL: deque(), MAIN: deque()}
        self._living = {SMALL: 0, MAIN: 0}
        self._ghosts.clear()

    def _small_is_full(self) -> bool:
        small, main = self._living[SMALL], self._living[MAIN]
        return not main or small > SMALL_SHARE * (small + main)

    def _turn(self, queue: int) -> Entry | None:
        entry = self._pop(queue)
        if entry.hits != entry.seen and holds(entry.vector):
            entry.seen = entry.hits
            self._push(entry, MAIN)
            return None
        if queue == SMALL:
            self._remember(entry.key)
        return entry

    def _push(self, entry: Entry, queue: int) -> None:
        entry.queue = queue
        self._queues[queue].append(entry)
        self._living[queue] += 1

    def _pop(self, queue: int) -> Entry:
        waiting = self._queues[queue]
        while True:
            entry = waiting.popleft()
            if entry.queue == queue:
                entry.queue = NOWHERE
                self._living[queue] -= 1
                return entry

    def _remember(self, key: Hashable) -> None:
        ghosts = self._ghosts
        ghosts[key] = None
        if len(ghosts) > max(len(self), SLACK):
            del ghosts[next(iter(ghosts))]

    def _compact(self, queue: int) -> None:
        waiting = self._queues[queue]
        if len(waiting) > 2 * self._living[queue] + SLACK:
            self._queues[queue] = deque(e for e in waiting if e.queue == queue)


class Expiry:
    """
    Entries by the second in which they end, so that no sweep looks at them all.

    An entry whose end was moved is noted under both seconds; only the one that it
    ends in now counts.
    """

    def __init__(self, drop: Callable[[Entry], None]) -> None:
        self._buckets: dict[int, set[Entry]] = {}
        self._seconds: list[int] = []
        self._drop = drop
        self._noted = 0

    def note(self, entry: Entry) -> None:
        """
        Remember when an entry ends.
        """
        second = _ends(entry)
        bucket = self._buckets.get(second)
        if bucket is None:
            bucket = self._buckets[second] = set()
            heapq.heappush(self._seconds, second)
        if entry not in bucket:
            bucket.add(entry)
            self._noted += 1

    def run(self, now: float, living: int) -> None:
        """
        Drop what has ended; rebuild when most of what is noted left long ago.
        """
        while self._seconds and self._seconds[0] <= now:
            second = heapq.heappop(self._seconds)
            bucket = self._buckets.pop(second)
            self._noted -= len(bucket)
            for entry in bucket:
                if entry.queue and _ends(entry) <= second:
                    self._drop(entry)
        if self._noted > 2 * living + SLACK:
            self._rebuild()

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._buckets.clear()
        self._seconds.clear()
        self._noted = 0

    def _rebuild(self) -> None:
        entries = [
            entry
            for second, bucket in self._buckets.items()
            for entry in bucket
            if entry.queue and _ends(entry) == second
        ]
        self.clear()
        for entry in entries:
            self.note(entry)


def _ends(entry: Entry) -> int:
    return int(entry.gone_at) + 1

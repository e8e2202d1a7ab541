"""
The process's own memory.

Bounded by entries and by bytes, scan-resistant (see `core.eviction`), safe
under threads: everything that changes takes the lock, a look-up takes none.
Invalidating a tag is one bump whatever hangs on it; what it made unservable is
dropped when it is met, evicted first, or ends.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from yokedcache.core.eviction import Expiry, S3Fifo
from yokedcache.core.tags import (
    SESSIONS,
    Fence,
    Stamp,
    TagTable,
    Vector,
    broken_by,
    holds,
    unfenced,
)
from yokedcache.stores.silent import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.core.entry import Entry
    from yokedcache.stores.answers import Said

ENTRY_BYTES = 400
"""What an entry costs beside its value: the object, its key, queue and tables."""

LEFT_IN_MIND = 1000
"""Keys of which it is remembered which tag made their entries unservable."""

LARGEST_SHARE = 8
"""An entry may take at most one part in this many of `max_bytes`."""

RECENT = 64
"""How many of the latest sets of tags are kept without anything that has them."""


class MemoryStore(Silent):
    """
    Entries and tags of one cache, in this process.
    """

    name = "memory"
    everything: tuple[str, ...] = ()
    """Tags of a store that processes share which are bumped for all that a change of too
    much to be named reaches. An entry carries one; whatever is read depends on them."""

    def __init__(
        self, clock: Callable[[], float], *, max_entries: int, max_bytes: int
    ) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self.plain = self.entries
        """Those that wrappers may serve by themselves, if the pulse agrees."""
        self.tags = TagTable()
        self.pulse = self.tags.pulse
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.bytes = 0
        self.evictions = 0
        self.broken: dict[Hashable, Hashable] = {}
        """The tags that broke entries which are gone; for `explain`."""
        self.askers: tuple[Callable[[], None], ...] = ()
        """Asked before a vector is compared: what changes unheard, and may be bumped."""
        self._clock = clock
        self._lock = threading.RLock()
        self._recent: dict[tuple[str, ...], Vector] = {}
        self._queues = S3Fifo()
        self._expiry = Expiry(self._drop)

    def __len__(self) -> int:
        return len(self.entries)

    def fetch(self, key: Hashable) -> Entry | None:
        """
        Give the entry under a key if its vector holds; an invalid one is dropped.
        """
        entry = self.entries.get(key)
        if entry is None:
            return None
        pulse = self.pulse.value
        if entry.pulse == pulse:
            return entry
        if self.askers:
            self.ask()
        if not holds(entry.vector):
            self._discard_broken(key, entry)
            return None
        if pulse is not None and not entry.careful:
            entry.pulse = pulse
        return entry

    def stands_here(self, entry: Entry) -> bool:  # noqa: ARG002
        """
        Tell whether an entry that holds here does elsewhere: there is no elsewhere.
        """
        return True

    def near(self, key: Hashable, ticket: float) -> Entry | None:  # noqa: ARG002
        """
        Give the entry under a key if it serves a caller that drew a ticket.
        """
        return self.fetch(key)

    def stamp(self, names: Iterable[str]) -> Stamp:
        """
        Take the versions of tags; do so before reading what they stand for.
        """
        with self._lock:
            return self.tags.stamp(names)

    def stamp_often(self, names: tuple[str, ...]) -> Stamp:
        """
        Do the same for tags that will be asked for again: the latest are kept alive.
        """
        with self._lock:
            stamp = self.tags.stamp(names)
            if len(self._recent) >= RECENT:
                self._recent.clear()
            self._recent[names] = stamp.vector
            return stamp

    def keep_often(self, names: tuple[str, ...]) -> None:
        """
        Keep tags alive that will be asked for again, like `stamp_often` without one.
        """
        if names not in self._recent:
            self.stamp_often(names)

    def guard(self, key: Hashable) -> Vector:
        """
        Take the version of a key itself: `remove` breaks it while a load is under way.
        """
        with self._lock:
            return self.tags.stamp([("key", key)]).vector

    def put(self, key: Hashable, entry: Entry, guard: Vector = ()) -> str | None:
        """
        Store an entry if its vector holds unfenced; else say why it was not.
        """
        if self.askers:  # not under the lock: it takes other stores' locks
            self.ask()
        weight = entry.weight + ENTRY_BYTES
        if weight > self.max_bytes // LARGEST_SHARE:
            return "too_large"
        with self._lock:
            if not unfenced(entry.vector):
                return "commit_in_flight"
            if not holds(entry.vector):
                return "changed_meanwhile"
            if not holds(guard):
                return "removed_meanwhile"
            entry.key, entry.weight = key, weight
            entry.careful = any(tag.name is SESSIONS for tag, _ in entry.vector)
            if self.pulse.value is not None and not entry.careful:
                entry.pulse = self.pulse.value
            self.broken.pop(key, None)
            self._insert(entry)
        return None

    def remove(self, key: Hashable) -> bool:
        """
        Drop the entry under a key; tell whether there was one that still held.

        A load of the key that is under way is not stored either.
        """
        with self._lock:
            if self.tags.known(("key", key)):
                self.tags.bump([("key", key)])
            entry = self.entries.get(key)
            if entry is None:
                return False
            self._drop(entry)
            return holds(entry.vector) and self._clock() < entry.gone_at

    def discard(self, entry: Entry) -> None:
        """
        Drop this entry, if it is still the one under its key.
        """
        with self._lock:
            if entry.queue:
                self._drop(entry)

    def _discard_broken(self, key: Hashable, entry: Entry) -> None:
        with self._lock:
            self.broken[key] = broken_by(entry.vector)
            if len(self.broken) > LEFT_IN_MIND:
                del self.broken[next(iter(self.broken))]
            if entry.queue:
                self._drop(entry)

    def renew(self, entry: Entry, ttl: float) -> bool:
        """
        Give an entry a new time to live from now, in seconds.
        """
        with self._lock:
            if not entry.queue or not holds(entry.vector):
                return False
            now = self._clock()
            shift = now + ttl - entry.fresh_until
            self._expiry.forget(entry)
            entry.soft_until = entry.plain_until = entry.fresh_until = now + ttl
            entry.stale_until += shift
            entry.error_until += shift
            self._expiry.note(entry)
            return True

    def bump(self, names: Iterable[str]) -> None:
        """
        Make everything that depends on one of the tags unservable.
        """
        with self._lock:
            self.tags.bump(names)

    def fence(
        self,
        names: Iterable[str],
        owner: str = "",  # noqa: ARG002
        carry: Callable[[Said], bool] | None = None,  # noqa: ARG002
    ) -> Fence:
        """
        Bump tags and keep anything on them from being stored until `lift`.

        `owner` names the transaction, where others may have to ask for it; `carry` has
        it announce what it changes itself, or tells that it can't.
        """
        with self._lock:
            return self.tags.fence(names)

    def lift(self, fence: Fence) -> None:
        """
        Bump the fence's tags and take it down.
        """
        with self._lock:
            self.tags.lift(fence)

    def watch(self) -> None:
        """
        Send every look-up down the careful path until `unwatch`.
        """
        with self._lock:
            self.tags.watch()

    def unwatch(self) -> None:
        """
        End one `watch`.
        """
        with self._lock:
            self.tags.unwatch()

    def ask(self) -> None:
        """
        Have everything bumped that was changed unheard.
        """
        for asker in self.askers:
            asker()

    def cover(self, asker: Callable[[], None]) -> None:
        """
        Have `asker` asked at every look-up from now on.
        """
        with self._lock:
            self.askers = (*self.askers, asker)
            self.tags.watch()

    def uncover(self, asker: Callable[[], None]) -> None:
        """
        Ask it no longer.
        """
        with self._lock:
            if asker in self.askers:
                self.askers = tuple(one for one in self.askers if one is not asker)
                self.tags.unwatch()

    def hold(self, note: int) -> None:
        """
        Note that a transaction sees things as they were at a number, until `let_go`.
        """
        with self._lock:
            self.tags.hold(note)

    def let_go(self) -> None:
        """
        End one `hold`.
        """
        with self._lock:
            self.tags.let_go()

    def names(self) -> list[str]:
        """
        List the tags that something depends on now.
        """
        with self._lock:
            return [name for name in self.tags.names() if isinstance(name, str)]

    def clear(self) -> None:
        """
        Drop all entries; what is being loaded now is not stored either.
        """
        with self._lock:
            self.tags.bump(self.tags.names())
            for entry in self.entries.values():
                self._retire(entry)
                entry.queue = 0
            self.entries.clear()
            self._queues.clear()
            self._expiry.clear()
            self.bytes = 0

    def begin_anew(self) -> None:
        """
        Begin anew in a forked child: nothing is kept, and nothing under way will be.

        Another thread may have held the lock, in the middle of a change.
        """
        self._lock = threading.RLock()
        for _ in self.askers:
            self.tags.unwatch()
        self.askers = ()
        self.entries.clear()  # the same object: wrappers of functions hold it
        self.broken.clear()
        self.bytes = 0
        self._queues = S3Fifo()
        self._expiry = Expiry(self._drop)
        self.tags.begin_anew()

    def _insert(self, entry: Entry) -> None:
        now = self._clock()
        old = self.entries.get(entry.key)
        if old is not None:
            self.bytes -= old.weight
            self._leave(old)
        self.entries[entry.key] = entry
        self.bytes += entry.weight
        self._queues.add(entry, old)
        self._expiry.note(entry)
        self._expiry.run(now)
        if len(self.entries) > self.max_entries or self.bytes > self.max_bytes:
            self._evict()

    def _evict(self) -> None:
        for victim in self._queues.victims():
            del self.entries[victim.key]
            self.bytes -= victim.weight
            self.evictions += 1
            self._leave(victim)
            if len(self.entries) <= self.max_entries and self.bytes <= self.max_bytes:
                return

    def _drop(self, entry: Entry) -> None:
        if self.entries.get(entry.key) is entry:
            del self.entries[entry.key]
            self.bytes -= entry.weight
            self._leave(entry)
        self._queues.discard(entry)

    def _leave(self, entry: Entry) -> None:
        self._expiry.forget(entry)
        self._retire(entry)

    @staticmethod
    def _retire(entry: Entry) -> None:
        if entry.owner is not None:
            entry.owner.retire(entry)

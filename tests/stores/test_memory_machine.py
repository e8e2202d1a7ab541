"""
The memory store against a dictionary and a clock that is cranked by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from yokedcache.core.entry import Entry, Lifetime, Tally
from yokedcache.stores.memory import ENTRY_BYTES, LARGEST_SHARE, MemoryStore

if TYPE_CHECKING:
    from yokedcache.core.tags import Fence, Stamp, Vector

ALL_KEYS = ["k1", "k2", "k3", "k4", "k5"]
KEYS = st.sampled_from(ALL_KEYS)
TAGS = st.sampled_from(["a", "b", "c"])
NAMES = st.lists(TAGS, max_size=3, unique=True)


class Kept:
    """
    What the model knows of an entry.
    """

    def __init__(self, entry: Entry, seen: dict[str, int], ends: float) -> None:
        self.entry = entry
        self.seen = seen
        self.ends = ends


class StoreMachine(RuleBasedStateMachine):
    """
    Loads under way are stamps that are stored later, or never.
    """

    loads = Bundle("loads")
    fences = Bundle("fences")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.model: dict[str, Kept] = {}
        self.changes = dict.fromkeys("abc", 0)
        self.up = dict.fromkeys("abc", 0)
        self.removed: dict[str, int] = {}
        self.tally = Tally("t")
        self.hits = 0

    @initialize(entries=st.sampled_from([2, 3, 1_000]), small=st.booleans())
    def open(self, entries: int, small: bool) -> None:
        room = 8 * (ENTRY_BYTES + 100) if small else 10**9
        self.store = MemoryStore(lambda: self.now, max_entries=entries, max_bytes=room)
        self.roomy = entries == 1_000 and not small

    @rule(target=loads, key=KEYS, names=NAMES)
    def begin(self, key: str, names: list[str]) -> tuple[Any, ...]:
        guard = self.store.guard(key)
        stamp = self.store.stamp(names)
        assert stamp.fenced == any(self.up[name] for name in names)
        seen = {name: self.changes[name] for name in names}
        return key, guard, stamp, seen, self.removed.get(key, 0)

    @rule(load=consumes(loads), ttl=st.integers(1, 60), weight=st.integers(1, 600))
    def put(self, load: tuple[Any, ...], ttl: int, weight: int) -> None:
        key, guard, stamp, seen, removed = load
        entry = self._entry(stamp, ttl, weight)
        refused = self.store.put(key, entry, guard)
        assert refused == self._refusal(key, seen, removed, weight)
        if refused is None:
            self.model[key] = Kept(entry, seen, self.now + ttl)

    @rule(key=KEYS)
    def fetch(self, key: str) -> None:
        found, kept = self.store.fetch(key), self.model.get(key)
        if found is not None:
            assert kept is not None
            assert found is kept.entry
            assert self._holds(kept)
            found.hits += 1
            self.hits += 1
        elif self.roomy and kept is not None:
            assert not self._holds(kept) or kept.ends <= self.now

    @rule(names=NAMES)
    def bump(self, names: list[str]) -> None:
        self.store.bump(names)
        self._change(names)

    @rule(target=fences, names=NAMES)
    def fence(self, names: list[str]) -> Fence:
        for name in names:
            self.up[name] += 1
        self._change(names)
        return self.store.fence(names)

    @rule(fence=fences)
    def lift(self, fence: Fence) -> None:
        if fence.up:
            names = [str(tag.name) for tag in fence.tags]
            for name in names:
                self.up[name] -= 1
            self._change(names)
        self.store.lift(fence)

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        kept = self.model.pop(key, None)
        self.removed[key] = self.removed.get(key, 0) + 1
        there = kept is not None and self._holds(kept) and kept.ends > self.now
        told = self.store.remove(key)
        assert told == there if self.roomy else told <= there
        assert self.store.fetch(key) is None

    @rule(key=KEYS, ttl=st.integers(1, 60))
    def renew(self, key: str, ttl: int) -> None:
        entry, kept = self.store.fetch(key), self.model.get(key)
        if entry is not None and kept is not None and kept.ends > self.now:
            assert self.store.renew(entry, ttl)
            kept.ends = self.now + ttl
            assert entry.gone_at == kept.ends

    @rule(key=KEYS)
    def discard(self, key: str) -> None:
        kept = self.model.pop(key, None)
        if kept is not None:
            self.store.discard(kept.entry)
            assert self.store.fetch(key) is None
            assert not self.store.renew(kept.entry, 10)

    @rule()
    def clear(self) -> None:
        self.store.clear()
        self.model.clear()
        for name in self.changes:
            self.changes[name] += 1
        for key in ALL_KEYS:
            self.removed[key] = self.removed.get(key, 0) + 1

    @rule(seconds=st.integers(1, 40))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def watch_and_unwatch(self) -> None:
        self.store.watch()
        for key in list(self.model):
            self.fetch(key)
        self.store.unwatch()

    @precondition(lambda self: self.model)
    @rule()
    def everything_served_is_what_was_put(self) -> None:
        for key in list(self.model):
            self.fetch(key)

    @invariant()
    def bounds_hold(self) -> None:
        if not hasattr(self, "store"):
            return
        store = self.store
        assert len(store) <= store.max_entries
        assert store.bytes <= store.max_bytes
        assert store.bytes == sum(entry.weight for entry in store.entries.values())
        assert len(store) == len(store._queues) == len(store._expiry)
        assert all(entry.queue for entry in store.entries.values())

    @invariant()
    def no_hit_is_lost(self) -> None:
        if hasattr(self, "store"):
            living = sum(entry.hits for entry in self.store.entries.values())
            assert self.tally.hits + living == self.hits

    def _entry(self, stamp: Stamp, ttl: int, weight: int) -> Entry:
        vector: Vector = stamp.vector
        entry = Entry(
            object(),
            copier=None,
            vector=vector,
            born=self.now,
            cost=1.0,
            lifetime=Lifetime(ttl),
            weight=weight,
        )
        entry.owner = self.tally
        return entry

    def _refusal(
        self, key: str, seen: dict[str, int], removed: int, weight: int
    ) -> str | None:
        if weight + ENTRY_BYTES > self.store.max_bytes // LARGEST_SHARE:
            return "too_large"
        if any(self.up[name] for name in seen):
            return "commit_in_flight"
        if any(self.changes[name] != count for name, count in seen.items()):
            return "changed_meanwhile"
        if self.removed.get(key, 0) != removed:
            return "removed_meanwhile"
        return None

    def _holds(self, kept: Kept) -> bool:
        return all(self.changes[name] == count for name, count in kept.seen.items())

    def _change(self, names: list[str]) -> None:
        for name in names:
            self.changes[name] += 1


TestStoreMachine = StoreMachine.TestCase

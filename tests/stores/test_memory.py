"""
The memory store: bounds, ends, removals, and many threads at once.
"""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from yokedcache.core.entry import Entry, Lifetime
from yokedcache.core.eviction import SLACK
from yokedcache.core.tags import Vector, holds
from yokedcache.stores.memory import ENTRY_BYTES, LARGEST_SHARE, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """
    A clock that is cranked by hand.
    """

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock, max_entries=1_000, max_bytes=10**7)


def make(
    value: object = "v",
    *,
    vector: Vector = (),
    born: float = 0.0,
    ttl: float = 10.0,
    weight: int = 1,
) -> Entry:
    return Entry(
        value,
        copier=None,
        vector=vector,
        born=born,
        cost=0.0,
        lifetime=Lifetime(ttl),
        weight=weight,
    )


def filled(store: MemoryStore, key: object, *names: str, ttl: float = 10.0) -> Entry:
    entry = make(vector=store.stamp(names).vector, ttl=ttl)
    assert store.put(key, entry) is None
    return entry


class TestStoring:
    def test_what_was_put_is_found(self, store: MemoryStore) -> None:
        entry = filled(store, "k", "t")
        assert store.fetch("k") is entry
        assert store.fetch("other") is None

    def test_a_bump_since_the_stamp_refuses(self, store: MemoryStore) -> None:
        vector = store.stamp(["t"]).vector
        store.bump(["t"])
        assert store.put("k", make(vector=vector)) == "changed_meanwhile"
        assert not len(store)

    def test_a_fence_refuses_while_up_and_after(self, store: MemoryStore) -> None:
        fence = store.fence(["t"])
        vector = store.stamp(["t"]).vector
        assert store.put("k", make(vector=vector)) == "commit_in_flight"
        store.lift(fence)
        assert store.put("k", make(vector=vector)) == "changed_meanwhile"
        filled(store, "k", "t")

    def test_a_removal_refuses_the_load_under_way(self, store: MemoryStore) -> None:
        guard = store.guard("k")
        assert not store.remove("k")
        assert store.put("k", make(), guard) == "removed_meanwhile"
        assert store.put("k", make(), store.guard("k")) is None

    def test_a_removal_of_one_key_leaves_others(self, store: MemoryStore) -> None:
        guard = store.guard("k")
        store.remove("other")
        assert store.put("k", make(), guard) is None

    def test_an_entry_may_take_only_its_share(self, store: MemoryStore) -> None:
        share = store.max_bytes // LARGEST_SHARE - ENTRY_BYTES
        assert store.put("k", make(weight=share)) is None
        assert store.put("k", make(weight=share + 1)) == "too_large"


class TestInvalidating:
    def test_a_bump_ends_everything_on_the_tag(self, store: MemoryStore) -> None:
        filled(store, "one", "a", "b")
        filled(store, "other", "b")
        kept = filled(store, "kept", "c")
        store.bump(["b"])
        assert store.fetch("one") is store.fetch("other") is None
        assert store.fetch("kept") is kept
        assert len(store) == 1

    def test_a_bump_touches_no_entry(self, store: MemoryStore) -> None:
        entries = [filled(store, n, "bulk") for n in range(1_000)]
        slots = ("pulse", "queue", "hits", "seen", "error_until")
        before = [[getattr(e, s) for s in slots] for e in entries]
        store.bump(["bulk"])
        assert before == [[getattr(e, s) for s in slots] for e in entries]
        assert all(store.fetch(n) is None for n in range(1_000))

    def test_removing_tells_whether_something_was_there(
        self, store: MemoryStore, clock: Clock
    ) -> None:
        filled(store, "k")
        assert store.remove("k")
        assert not store.remove("k")
        filled(store, "k", "t")
        store.bump(["t"])
        assert not store.remove("k")
        filled(store, "k")
        clock.now = 10.0
        assert not store.remove("k")

    def test_discarding_spares_the_successor(self, store: MemoryStore) -> None:
        old = filled(store, "k")
        new = filled(store, "k")
        store.discard(old)
        assert store.fetch("k") is new

    def test_names_are_those_in_use(self, store: MemoryStore) -> None:
        filled(store, "k", "t")
        guard = store.guard("k")
        store.bump(["nobody"])
        assert store.names() == ["t"]
        assert guard

    def test_clearing_forgets_the_entries(self, store: MemoryStore) -> None:
        kept = filled(store, "k", "t")
        store.clear()
        assert store.fetch("k") is None
        assert (len(store), store.bytes) == (0, 0)
        assert not store.renew(kept, 10.0)
        gc.collect()
        del kept
        assert store.names() == []


class TestBounds:
    def test_entries(self, clock: Clock) -> None:
        store = MemoryStore(clock, max_entries=100, max_bytes=10**9)
        for number in range(1_000):
            filled(store, number)
        assert len(store) == 100
        assert store.evictions == 900
        assert store.bytes == 100 * (ENTRY_BYTES + 1)

    def test_bytes(self, clock: Clock) -> None:
        store = MemoryStore(clock, max_entries=10**6, max_bytes=100_000)
        for number in range(1_000):
            store.put(number, make(weight=number % 7 * 1_000))
            assert store.bytes <= 100_000
        assert store.bytes == sum(e.weight for e in store.entries.values())
        assert len(store) > 5

    def test_a_room_of_one(self, clock: Clock) -> None:
        store = MemoryStore(clock, max_entries=1, max_bytes=10**6)
        for number in range(10):
            filled(store, number).hits += number % 2
        assert len(store) == 1

    def test_evicted_entries_let_their_tags_go(self, clock: Clock) -> None:
        store = MemoryStore(clock, max_entries=10, max_bytes=10**9)
        for number in range(1_000):
            filled(store, number, f"row:{number}")
        gc.collect()
        assert len(store.tags) == 10

    def test_nothing_of_those_who_left_is_held(self, clock: Clock) -> None:
        store = MemoryStore(clock, max_entries=10, max_bytes=10**9)

        class Value:
            pass

        values = [Value() for _ in range(200)]
        living = [weakref.ref(value) for value in values]
        while values:
            number = len(values)
            entry = make(values.pop(), vector=store.stamp([f"t{number % 7}"]).vector)
            store.put(number % 30, entry)
            store.remove(number % 20)
            store.bump([f"t{number % 5}"])
            store.fetch(number % 10)
        del entry
        gc.collect()
        assert sum(ref() is not None for ref in living) == len(store)


class TestTime:
    def test_what_ended_is_dropped_when_something_is_stored(
        self, store: MemoryStore, clock: Clock
    ) -> None:
        for number in range(500):
            filled(store, number, ttl=10.0 + number % 3)
        clock.now = 20.0
        assert len(store) == 500
        filled(store, "new", ttl=100.0)
        assert len(store) == 1

    def test_a_hot_key_leaves_no_shells(self, store: MemoryStore, clock: Clock) -> None:
        for number in range(100_000):
            if number % 1_000 == 0:
                clock.now += 0.5
            store.put("hot", make(born=clock.now, ttl=300.0))
        assert len(store) == len(store._expiry) == len(store._queues) == 1
        assert len(store._expiry._seconds) <= 2 + SLACK + 1

    def test_a_renewed_entry_lives_on(self, store: MemoryStore, clock: Clock) -> None:
        entry = filled(store, "k", ttl=10.0)
        assert store.renew(entry, 100.0)
        clock.now = 50.0
        filled(store, "other")
        assert store.fetch("k") is entry
        clock.now = 102.0
        filled(store, "other")
        assert "k" not in store.entries

    def test_a_shortened_entry_ends_early(
        self, store: MemoryStore, clock: Clock
    ) -> None:
        assert store.renew(filled(store, "k", ttl=1_000.0), 5.0)
        clock.now = 6.5
        filled(store, "other")
        assert "k" not in store.entries

    def test_a_key_renewed_for_ever_leaves_no_notes(
        self, store: MemoryStore, clock: Clock
    ) -> None:
        entry = filled(store, "k")
        for _ in range(10_000):
            clock.now += 1.0
            assert store.renew(entry, 10.0)
        assert len(store._expiry) == 1
        assert len(store._expiry._seconds) <= 2 + SLACK + 1

    def test_what_holds_no_more_is_not_renewed(self, store: MemoryStore) -> None:
        entry = filled(store, "k", "t")
        store.bump(["t"])
        assert not store.renew(entry, 10.0)


class TestThreads:
    """
    Bounded loops on real threads; afterwards the books must balance.
    """

    def hammer(self, jobs: list[Callable[[], None]]) -> None:
        start = threading.Barrier(len(jobs))

        def go(job: Callable[[], None]) -> None:
            start.wait(10)
            job()

        with ThreadPoolExecutor(len(jobs)) as pool:
            for future in [pool.submit(go, job) for job in jobs]:
                future.result(30)

    def test_nothing_old_is_served_after_a_bump_returned(self, clock: Clock) -> None:
        store = MemoryStore(clock, max_entries=50, max_bytes=10**7)
        database, told, wrong = [0], [0], list[tuple[int, int]]()

        def write() -> None:
            for _ in range(400):
                fence = store.fence(["t"])
                database[0] += 1
                store.lift(fence)
                told[0] = database[0]

        def read() -> None:
            for number in range(3_000):
                floor, key = told[0], number % 3
                entry = store.fetch(key)
                if entry is not None:
                    if entry.value < floor:
                        wrong.append((entry.value, floor))
                    continue
                stamp = store.stamp(["t"])
                loaded = make(database[0], vector=stamp.vector)
                if not stamp.fenced:
                    store.put(key, loaded)

        self.hammer([write, read, read, read])
        assert wrong == []
        assert not store.tags.stamp(["t"]).fenced

    def test_the_books_balance(self, clock: Clock) -> None:  # noqa: C901 - many deeds
        store = MemoryStore(clock, max_entries=40, max_bytes=10**7)
        ticks = count()

        def work(seed: int) -> None:
            for number in range(1_500):
                key, name = (number * seed) % 60, f"tag:{number % 11}"
                vector = store.stamp([name]).vector
                made = make(vector=vector, born=clock.now, ttl=3.0)
                store.put(key, made, store.guard(key))
                entry = store.fetch((key + 1) % 60)
                if entry is not None:
                    entry.hits += 1
                    store.renew(entry, 2.0 + number % 5)
                disturb(number, key, name)

        def disturb(number: int, key: int, name: str) -> None:
            match number % 13:
                case 0:
                    store.bump([name])
                case 1:
                    store.remove(key)
                case 2:
                    store.lift(store.fence([name, "tag:x"]))
                case 3:
                    store.discard(store.fetch(key) or make())
                case 4:
                    clock.now = next(ticks) * 0.01
                case 5 if number % 500 == 5:
                    store.clear()
                case 6:
                    store.watch()
                    store.unwatch()

        self.hammer([partial(work, seed) for seed in (1, 7, 11, 13)])
        assert len(store) <= 40
        assert len(store) == len(store._queues)
        assert store.bytes == sum(e.weight for e in store.entries.values())
        assert store.pulse.value == store.tags.counter
        found = [store.fetch(key) for key in range(60)]
        assert all(holds(e.vector) for e in found if e is not None)
        store.clear()
        del found
        gc.collect()
        assert len(store.tags) == 0

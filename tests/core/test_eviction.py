"""
Who goes when the store is full, and who goes because its time is over.
"""

from __future__ import annotations

import random
from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from yokedcache.core.entry import Entry, Lifetime
from yokedcache.core.eviction import SLACK, Expiry, S3Fifo
from yokedcache.core.tags import TagTable, Vector


def make(key: object, ends: float = 10.0, vector: Vector = ()) -> Entry:
    entry = Entry(
        key,
        copier=None,
        vector=vector,
        born=0.0,
        cost=0.0,
        lifetime=Lifetime(ends),
        weight=1,
    )
    entry.key = key
    return entry


class Shelf:
    """
    A cache of so many entries over the queues, which counts its hits.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.entries: dict[object, Entry] = {}
        self.queues = S3Fifo()
        self.hits = 0

    def ask(self, key: object) -> None:
        entry = self.entries.get(key)
        if entry is not None:
            entry.hits += 1
            self.hits += 1
            return
        self.entries[key] = entry = make(key)
        self.queues.add(entry)
        if len(self.entries) > self.room:
            del self.entries[next(self.queues.victims()).key]


class RecentlyUsed:
    """
    The cache that everybody has, to compare with.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.keys: OrderedDict[object, None] = OrderedDict()
        self.hits = 0

    def ask(self, key: object) -> None:
        if key in self.keys:
            self.keys.move_to_end(key)
            self.hits += 1
            return
        self.keys[key] = None
        if len(self.keys) > self.room:
            self.keys.popitem(last=False)


def traffic(requests: int) -> list[object]:
    """
    Popular keys, and now and then a scan over keys that nobody wants again.
    """
    dice = random.Random(20)
    keys = range(5_000)
    weights = [1 / (rank + 1) for rank in keys]
    asked: list[object] = []
    for batch in range(requests // 1_000):
        asked += dice.choices(keys, weights, k=1_000)
        if batch % 4 == 3:
            asked += [("scan", batch, number) for number in range(1_500)]
    return asked


def test_a_scan_does_not_drive_out_what_is_wanted() -> None:
    ours, common = Shelf(500), RecentlyUsed(500)
    asked = traffic(40_000)
    for key in asked:
        ours.ask(key)
        common.ask(key)
    popular = sum(type(key) is int for key in asked)
    assert ours.hits > common.hits + popular * 0.05


def test_a_key_read_while_it_was_young_outlives_a_scan() -> None:
    shelf = Shelf(100)
    for key in ("wanted", "unwanted"):
        shelf.ask(key)
    shelf.ask("wanted")
    for number in range(1_000):
        shelf.ask(number)
    assert "wanted" in shelf.entries
    assert "unwanted" not in shelf.entries


def test_a_key_that_comes_back_soon_is_taken_seriously() -> None:
    shelf = Shelf(100)
    for number in range(110):
        shelf.ask(number)
    assert 0 not in shelf.entries
    shelf.ask(0)
    for number in range(200, 280):
        shelf.ask(number)
    assert 0 in shelf.entries


def test_a_popular_entry_that_holds_no_more_goes_like_any_other() -> None:
    tags, queues = TagTable(), S3Fifo()
    broken = make("broken", vector=tags.stamp(["t"]).vector)
    broken.hits = 100
    valid = make("valid")
    valid.hits = 100
    for entry in (broken, valid, make("unread")):
        queues.add(entry)
    tags.bump(["t"])
    assert next(queues.victims()).key == "broken"


def test_memory_of_those_who_left_is_bounded() -> None:
    shelf = Shelf(100)
    for number in range(10_000):
        shelf.ask(number)
    assert len(shelf.queues._ghosts) <= 100
    assert len(shelf.queues) == len(shelf.entries) == 100


def test_a_key_written_often_leaves_no_shells() -> None:
    queues, old = S3Fifo(), None
    for _ in range(10_000):
        entry = make("hot")
        queues.add(entry, old)
        old = entry
    assert len(queues) == 1
    assert sum(map(len, queues._queues.values())) == 1


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=200))
def test_every_entry_leaves_exactly_once(steps: list[tuple[int, bool]]) -> None:
    queues, inside = S3Fifo(), dict[int, Entry]()
    for key, gone in steps:
        old = inside.pop(key, None)
        if gone and old is not None:
            queues.discard(old)
            continue
        inside[key] = make(key)
        queues.add(inside[key], old)
        inside[key].hits = key % 3
    assert len(queues) == len(inside)
    victims = list(queues.victims())
    assert len(victims) == len(inside)
    assert {victim.key for victim in victims} == set(inside)
    assert not len(queues)


class TestExpiry:
    def test_drops_what_has_ended_and_nothing_else(self) -> None:
        dropped: list[object] = []
        expiry = Expiry(lambda entry: dropped.append(entry.key))
        for key in range(10):
            expiry.note(make(key, ends=float(key)))
        expiry.run(5.5)
        assert sorted(map(int, map(str, dropped))) == [0, 1, 2, 3, 4]
        expiry.run(100.0)
        assert len(dropped) == 10
        assert not len(expiry)

    def test_a_moved_end_counts_and_no_other(self) -> None:
        dropped: list[object] = []
        expiry = Expiry(lambda entry: dropped.append(entry.key))
        entry = make("k", ends=5.0)
        expiry.note(entry)
        expiry.forget(entry)
        entry.error_until = 50.0
        expiry.note(entry)
        expiry.run(10.0)
        assert dropped == []
        expiry.run(60.0)
        assert dropped == ["k"]

    def test_holds_nothing_of_those_that_left(self) -> None:
        expiry = Expiry(lambda entry: None)
        for number in range(10_000):
            entry = make("hot", ends=1_000.0 + number)
            expiry.note(entry)
            expiry.forget(entry)
            expiry.forget(entry)
        assert not len(expiry)
        assert len(expiry._seconds) <= SLACK + 1

    @given(
        st.lists(st.tuples(st.integers(0, 500), st.booleans()), max_size=200),
        st.integers(0, 500),
    )
    def test_a_long_silence_ends_everything_due(
        self, ends: list[tuple[int, bool]], now: int
    ) -> None:
        dropped: list[Entry] = []
        expiry = Expiry(dropped.append)
        for end, left in ends:
            entry = make(end, ends=float(end))
            expiry.note(entry)
            if left:
                expiry.forget(entry)
        expiry.run(float(now))
        assert sorted(int(e.gone_at) for e in dropped) == sorted(
            end for end, left in ends if end + 1 <= now and not left
        )

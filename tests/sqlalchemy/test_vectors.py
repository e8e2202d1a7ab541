"""
What a session has seen is told by numbers of the store's counter.
"""

from __future__ import annotations

import pytest

from yokedcache.core.tags import holds
from yokedcache.sqlalchemy.functions.vectors import Seen
from yokedcache.stores.memory import MemoryStore

USERS, POSTS = ("table:users",), ("table:posts", "table:users")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: 0.0, max_entries=10, max_bytes=1_000)


@pytest.fixture
def seen(store: MemoryStore) -> Seen:
    made = Seen()
    store.keep_often(USERS)
    made.add_read(store, USERS, store.tags.counter)
    return made


def test_what_has_not_changed_has_a_vector(store: MemoryStore, seen: Seen) -> None:
    store.bump(["table:posts"])
    vector = seen.vector(store)
    assert vector is not None
    assert [tag.name for tag, _ in vector] == ["table:users"]
    assert holds(vector)
    store.bump(USERS)
    assert not holds(vector)


def test_what_has_changed_has_none(store: MemoryStore, seen: Seen) -> None:
    store.bump(USERS)
    assert seen.vector(store) is None


def test_a_commit_under_way_leaves_it_none(store: MemoryStore) -> None:
    seen = Seen()
    fence = store.fence(USERS)
    seen.add_read(store, USERS, store.tags.counter)
    assert seen.vector(store) is not None  # what is fenced isn't stored anyway
    store.lift(fence)
    assert seen.vector(store) is None


def test_the_first_read_of_tags_counts(store: MemoryStore, seen: Seen) -> None:
    store.bump(USERS)
    seen.add_read(store, USERS, store.tags.counter)
    assert seen.vector(store) is None


def test_a_snapshot_is_older_than_the_read(store: MemoryStore) -> None:
    note = store.tags.counter
    store.keep_often(USERS)
    store.bump(USERS)
    seen = Seen()
    seen.add_read(store, USERS, store.tags.counter)
    assert seen.vector(store) is not None
    seen.add_read(store, USERS, note)
    assert seen.vector(store) is None


def test_tags_that_nobody_kept_may_have_changed(store: MemoryStore) -> None:
    seen = Seen()
    seen.add_read(store, POSTS, store.tags.counter)
    assert seen.vector(store) is not None
    other = Seen()
    other.add_read(store, ("table:gone",), store.tags.counter)
    store.bump(["table:gone"])  # nobody depends on it
    assert other.vector(store) is None


def test_answers_and_statements_are_one_vector(store: MemoryStore, seen: Seen) -> None:
    seen.add(store, store.stamp(POSTS).vector)
    vector = seen.vector(store)
    assert vector is not None
    assert {tag.name for tag, _ in vector} == {*POSTS}
    seen.unseen = True
    assert seen.vector(store) is None


def test_stores_know_nothing_of_each_other(store: MemoryStore, seen: Seen) -> None:
    other = MemoryStore(lambda: 0.0, max_entries=10, max_bytes=1_000)
    assert seen.vector(other) == ()

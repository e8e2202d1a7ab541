"""
A schema that another version of this library made: told before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.postgres_stores import SCHEMA
from yokedcache.errors import StoreError
from yokedcache.stores.postgresql.layout import LAYOUT

if TYPE_CHECKING:
    from tests.support.postgres_stores import Store
    from yokedcache.testing.stores import Process

SAID = (
    rf"the schema {SCHEMA} was made by another version of yokedcache \('yokedcache 0', "
    rf"this one makes '{LAYOUT}'\) and is left alone: DROP SCHEMA {SCHEMA} CASCADE"
)


def relabel(store: Store, said: str) -> None:
    store.say(f"COMMENT ON TABLE {SCHEMA}.tags IS '{said}'")


def tags(store: Store) -> list[object]:
    return store.say(f"SELECT digest, version FROM {SCHEMA}.tags ORDER BY digest")


def test_a_whole_one_is_left_alone(store: Store, one: Process, face: str) -> None:
    assert one.fill("k", b"x", "t") is None
    relabel(store, "yokedcache 0")
    before = tags(store)
    other = store.open(face)
    for _ in range(2):
        with pytest.raises(StoreError, match=SAID):
            other.read("k", "t")
        with pytest.raises(StoreError, match=SAID):
            other.bump("t")
    assert tags(store) == before


def test_it_is_asked_once(store: Store, one: Process) -> None:
    assert one.fill("k", b"x", "t") is None
    relabel(store, "yokedcache 0")
    assert one.read("k", "t") == b"x"


def test_it_is_used_once_it_was_dropped(store: Store, one: Process, face: str) -> None:
    relabel(store, "yokedcache 0")
    other = store.open(face)
    with pytest.raises(StoreError, match=SAID):
        other.read("k", "t")
    store.say(f"DROP SCHEMA {SCHEMA} CASCADE")
    assert other.read("k", "t") == "absent"
    assert one.read("k", "t") == "absent"

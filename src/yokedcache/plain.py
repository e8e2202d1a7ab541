"""
Plain keys: what `cache.get`, `cache.set` and their kin do, for both faces.

Each is a conversation with the store, which the faces hold in a thread or in a loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from yokedcache.core.durations import seconds
from yokedcache.machine import KEYS, Machine, checked_tags, plain_key
from yokedcache.runtime.context import hand_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from yokedcache.core.durations import Duration
    from yokedcache.stores.silent import Asking

T = TypeVar("T")


def getting(machine: Machine, key: str, default: T) -> Asking[Any | T]:
    """
    Give the value under a key, else `default`.
    """
    machine.check_open()
    full = plain_key(key)
    tally = machine.tally(KEYS)
    entry = yield from machine.looking(full, machine.prefix_tags(key), owner=tally)
    if entry is None:
        tally.loads += 1
        return default
    entry.hits += 1
    hand_on(entry.vector)
    return entry.read()


def setting(
    machine: Machine,
    key: str,
    value: Any,
    *,
    ttl: Duration | None,
    tags: Iterable[str],
) -> Asking[bool]:
    """
    Store a value; false (and a count) if an invalidation is in flight.
    """
    machine.check_open()
    full = plain_key(key)
    names = (*checked_tags(tags), *machine.prefix_tags(key))
    life = machine.lifetime(None if ttl is None else seconds(ttl))
    store = machine.store
    stamp = yield from store.take(names, full)
    entry = machine.entry(value, stamp.vector, life, machine.tally(KEYS))
    refused = yield from store.keep(full, entry)
    if refused:
        machine.tally(KEYS).refuse(refused)
        yield from store.removing(full)
    return refused is None


def getting_many(machine: Machine, keys: Iterable[str]) -> Asking[dict[str, Any]]:
    """
    Give the values of those keys that are there.
    """
    found: dict[str, Any] = {}
    missing = object()
    for key in keys:
        value = yield from getting(machine, key, missing)
        if value is not missing:
            found[key] = value
    return found


def setting_many(
    machine: Machine,
    values: Mapping[str, Any],
    *,
    ttl: Duration | None,
    tags: Iterable[str],
) -> Asking[int]:
    """
    Store several values; give how many were stored.
    """
    names = checked_tags(tags)
    stored = 0
    for key, value in values.items():
        stored += yield from setting(machine, key, value, ttl=ttl, tags=names)
    return stored


def deleting(machine: Machine, key: str) -> Asking[bool]:
    """
    Drop a key; tell whether it was there.
    """
    machine.check_open()
    return (yield from machine.store.removing(plain_key(key)))


def existing(machine: Machine, key: str) -> Asking[bool]:
    """
    Tell whether `getting` would find the key, without counting a hit.
    """
    machine.check_open()
    entry = yield from machine.looking(plain_key(key), machine.prefix_tags(key))
    return entry is not None


def expiring(machine: Machine, key: str, ttl: Duration) -> Asking[bool]:
    """
    Give a key a new time to live from now; false if it isn't there.
    """
    machine.check_open()
    life = seconds(ttl)
    entry = yield from machine.looking(plain_key(key), machine.prefix_tags(key))
    if entry is None:
        return False
    return (yield from machine.store.renewing(plain_key(key), entry, life))

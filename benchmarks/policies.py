"""
Eviction policies for `hit_ratio`: ours, and what it is held against.

Ours is the memory store itself; the textbook ones are as short as they can be
written. Each is asked for one key at a time and tells whether it had it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Protocol

from yokedcache.core.entry import Entry, Lifetime
from yokedcache.stores.memory import MemoryStore


class Policy(Protocol):
    """
    A cache of so many keys.
    """

    def __init__(self, room: int) -> None: ...

    def ask(self, key: int) -> bool: ...


class Ours:
    """
    The memory store: S3-FIFO with one bit.
    """

    def __init__(self, room: int) -> None:
        self._store = MemoryStore(time.monotonic, max_entries=room, max_bytes=1 << 40)
        self._life = Lifetime(86_400.0)

    def ask(self, key: int) -> bool:
        found = self._store.fetch(key)
        if found is not None:
            found.hits += 1
            return True
        entry = Entry(
            key,
            copier=None,
            vector=(),
            born=time.monotonic(),
            cost=0.0,
            lifetime=self._life,
            weight=1,
        )
        self._store.put(key, entry)
        return False


class Fifo:
    """
    First in, first out.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._keys: OrderedDict[int, None] = OrderedDict()

    def ask(self, key: int) -> bool:
        if key in self._keys:
            self._touch(key)
            return True
        if len(self._keys) >= self._room:
            self._keys.popitem(last=False)
        self._keys[key] = None
        return False

    def _touch(self, key: int) -> None:
        pass


class Lru(Fifo):
    """
    Least recently used.
    """

    def _touch(self, key: int) -> None:
        self._keys.move_to_end(key)


class Sieve:
    """
    SIEVE: one queue in order of arrival, a bit a key, and a hand.

    The hand walks from old to new, clears bits, takes the first key without one
    and stays there.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._read: dict[int, bool] = {}
        self._newer: dict[int, int] = {}
        self._older: dict[int, int] = {}
        self._newest = self._oldest = self._hand = -1

    def ask(self, key: int) -> bool:
        if key in self._read:
            self._read[key] = True
            return True
        if len(self._read) >= self._room:
            self._evict()
        self._read[key] = False
        self._older[key], self._newer[key] = self._newest, -1
        if self._newest == -1:
            self._oldest = key
        else:
            self._newer[self._newest] = key
        self._newest = key
        return False

    def _evict(self) -> None:
        key = self._oldest if self._hand == -1 else self._hand
        while self._read[key]:
            self._read[key] = False
            key = self._newer[key]
            if key == -1:
                key = self._oldest
        newer, older = self._newer.pop(key), self._older.pop(key)
        self._hand = newer
        if newer == -1:
            self._newest = older
        else:
            self._older[newer] = older
        if older == -1:
            self._oldest = newer
        else:
            self._newer[older] = newer
        del self._read[key]


POLICIES: dict[str, type[Policy]] = {
    "ours": Ours,
    "SIEVE": Sieve,
    "LRU": Lru,
    "FIFO": Fifo,
}

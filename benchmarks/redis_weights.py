"""
What an entry takes of a Redis server's memory, for section `redis_reads`.

Entries go through the library, each with three tags that a thousand have. On top of a
plain SET of the same bytes they take what finds them out when they are old: the versions
of their tags, of that of everything too. What the library writes around a value (its
names, its checksum) is told by the line after it, where the SET is one of the value.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from measure import Line, Spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIFE = 3600.0
A_TAG = 1_000
TAGS = 3
SIZES = range(100, 1_000)
"""Bytes of values: many sizes, so that the allocator's steps level out."""

CASHEWS = 179
"""Bytes that three tags of 1,000 entries cost an entry there, on top of a plain SET."""


def weigh(services: Any, number: int) -> Iterator[Line]:
    """
    Weigh so many entries, and plain SETs of their bytes and of their values.
    """
    values = [bytes(SIZES[one % len(SIZES)]) for one in range(number)]
    with services.RedisServer.running() as server:
        ours, payloads = _entries(server, values)
    with services.RedisServer.running() as server:
        same = _plain(server, payloads)
    with services.RedisServer.running() as server:
        bare = _plain(server, values)
    more = Spread.of([(ours - same) / CASHEWS])
    figure = f"{same:.0f} + {ours - same:.0f} bytes"
    yield Line("an entry with 3 tags", figure, "cashews", more, 0.5)
    yield Line("all that is around its value", f"{bare:.0f} + {ours - bare:.0f} bytes")


def _entries(server: Any, values: Sequence[bytes]) -> tuple[float, list[bytes]]:
    yokedcache = importlib.import_module("yokedcache")
    payloads = importlib.import_module("yokedcache.shared.payloads")
    cache = yokedcache.YokedCache(
        server.url(), lease=0.1, store_timeout=5.0, max_entries=len(values) + 1
    )
    before = 0
    for one, value in enumerate(values):
        if one == A_TAG:
            before = _used(server)
        first = one - one % A_TAG
        tags = [f"{first}:{tag}" for tag in range(TAGS)]
        # a server that is new keeps nothing for a lease
        while not cache.sync.set(f"function:users:{one}", value, tags=tags, ttl=LIFE):
            pass
    weight = (_used(server) - before) / (len(values) - A_TAG)
    store = cache.machine.store
    packed = [payloads.pack(each, store.belonging) for each in store.entries.values()]
    cache.sync.close()
    return weight, packed


def _plain(server: Any, payloads: Sequence[bytes]) -> float:
    redis = importlib.import_module("redis")
    before = 0
    with redis.Redis.from_url(server.url()) as client:
        for one, payload in enumerate(payloads):
            if one == A_TAG:
                before = _used(server)
            client.set(f"function:users:{one}", payload, px=int(LIFE * 1000))
    return (_used(server) - before) / (len(payloads) - A_TAG)


def _used(server: Any) -> int:
    return int(server.info("memory")["used_memory"])

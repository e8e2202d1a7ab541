"""
Entries of shared stores that something else has spoilt, and how that reads.

`SPOILT` names for each store what may be done to an entry, and the reason of the miss.
"""

from __future__ import annotations

import contextlib
import pickle
import sqlite3
from typing import TYPE_CHECKING, Any, Protocol

from tests.support.memcached import url_of
from tests.support.postgres_stores import Store
from yokedcache.shared.keys import shared_key
from yokedcache.stores.envelope import unseal
from yokedcache.stores.postgresql.layout import place as place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    from tests.services import MemcachedServer, PostgresDatabase
    from tests.services.redis import RedisCluster, RedisServer
    from yokedcache import YokedCache

Spoil = Any
"""What makes other bytes of an entry's, what is set in its row, or another type."""

ANOTHER_TYPE = "another type"


class Spoiler(Protocol):
    """
    A store into which something else writes.
    """

    def url(self) -> str:
        """
        Give the URL of a cache there.
        """

    def spoil(self, cache: YokedCache, key: Hashable, how: Spoil) -> None:
        """
        Spoil what a cache has stored under a key.
        """


def _at(place: int, *, to: int | None = None) -> Callable[[bytes], bytes]:
    def spoilt(data: bytes) -> bytes:
        other = bytearray(data)
        other[place] = other[place] ^ 1 if to is None else to
        return bytes(other)

    return spoilt


def _payload_at(place: int, to: int) -> Callable[[bytes], bytes]:
    def spoilt(data: bytes) -> bytes:
        whole: Any = unseal(data)
        return _at(whole.payload_at + place, to=to)(data)

    return spoilt


_BYTES: dict[str, tuple[Spoil, str]] = {
    "empty": (lambda _: b"", "foreign"),
    "foreign": (lambda _: b"somebody's", "foreign"),
    "json": (lambda _: b'{"a": 1}', "foreign"),
    "pickle": (lambda _: pickle.dumps([1]), "foreign"),
    "start": (lambda data: data[:10], "truncated"),
    "cut": (lambda data: data[:-3], "truncated"),
    "longer": (lambda data: data + b"x", "truncated"),
    "head": (_at(12), "corrupted"),
    "version": (_at(35), "corrupted"),
    "older": (_at(2, to=0), "other_layout"),
    "newer": (_at(2, to=9), "other_layout"),
    "payload": (_at(-1), "payload"),
    "older payload": (_payload_at(2, 0), "payload"),
    "payload of another codec": (_payload_at(3, 200), "payload"),
}
_REDIS = {**_BYTES, "type": (ANOTHER_TYPE, "foreign")}
_ROWS: dict[str, tuple[Spoil, str]] = {
    "payload": ("payload = substr(payload, 1, 20)", "payload"),
    "no payload": ("payload = substr(payload, 1, 0)", "payload"),
    "infinite": ("born = %(infinite)s", "payload"),
    "infinitely fresh": ("fresh = %(infinite)s", "payload"),
}
_SQLITE = {
    **_ROWS,
    "text": ("payload = 'text'", "foreign"),
    "foreign payload": ("payload = x'00112233'", "payload"),
    "short digests": ("digests = x'0011'", "corrupted"),
    "many digests": ("digests = zeroblob(1800)", "corrupted"),
    "no versions": ("versions = x''", "corrupted"),
    "versions": ("versions = x'FFFF00'", "corrupted"),
    "versions as text": ("versions = 'text'", "foreign"),
    "mark": ("mark = x'00'", "corrupted"),
    "mark as text": ("mark = 'text'", "foreign"),
    "key": ("key = 'text'", "foreign"),
    "ends": ("ends = 'never'", "foreign"),
    "size": ("size = 'large'", "foreign"),
    "born": ("born = 'noon'", "foreign"),
    "fresh": ("fresh = x'00'", "foreign"),
    "stale": ("stale = 'long'", "foreign"),
}
_POSTGRESQL = {
    **_ROWS,
    "no number": ("born = 'NaN'", "payload"),
    "never stale": ("stale = 'NaN'", "payload"),
    "no digests": ("digests = '{}'", "corrupted"),
    "versions": ("versions = '{junk}'", "corrupted"),
    "no version": ("versions = '{NULL}'", "corrupted"),
}
SPOILT = {
    "redis": _REDIS,
    "cluster": _REDIS,
    "memcached": _BYTES,
    "sqlite": _SQLITE,
    "postgresql": _POSTGRESQL,
}


def _commands(cache: YokedCache) -> Any:
    return cache.machine.store.server.commands


class RedisSpoiler:
    """
    One server, or a Cluster: whoever has a key.
    """

    def __init__(self, store: RedisServer | RedisCluster) -> None:
        self._store: Any = store

    def url(self) -> str:
        return str(self._store.url())

    def spoil(self, cache: YokedCache, key: Hashable, how: Spoil) -> None:
        at = _commands(cache).layout.entry(shared_key(key) or b"")
        owner = getattr(self._store, "owner", lambda _: self._store)(at.decode())
        with owner.client() as client:
            if how is not ANOTHER_TYPE:
                client.set(at, how(client.get(at)), keepttl=True)
                return
            client.delete(at)
            client.rpush(at, "x")


class MemcachedSpoiler:
    """
    One server.
    """

    def __init__(self, server: MemcachedServer) -> None:
        self._server = server

    def url(self) -> str:
        return url_of([self._server])

    def spoil(self, cache: YokedCache, key: Hashable, how: Spoil) -> None:
        at = _commands(cache).names.entry(shared_key(key) or b"").key
        self._server.say("set", at, how(self._server.say("get", at)))


class SqliteSpoiler:
    """
    A file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def url(self) -> str:
        return f"sqlite:///{self._path}"

    def spoil(self, cache: YokedCache, key: Hashable, how: Spoil) -> None:
        row = _commands(cache)._names.place(shared_key(key) or b"").row
        change = how % {"infinite": "9e999"}
        with contextlib.closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(f"UPDATE entries SET {change} WHERE id = {row}")


class PostgresSpoiler:
    """
    A database.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._store = Store(database, "yc")

    def url(self) -> str:
        return self._store.database.url()

    def spoil(self, cache: YokedCache, key: Hashable, how: Spoil) -> None:
        row = place_of(shared_key(key) or b"").row
        change = how % {"infinite": "'Infinity'"}
        self._store.say(f"UPDATE yokedcache_yc.entries SET {change} WHERE id = {row}")

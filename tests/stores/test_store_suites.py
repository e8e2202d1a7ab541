"""
The shipped suites over the stores of this library.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.services.redis import RedisServer, SentinelGroup
from yokedcache.stores.redis.client import RedisClient
from yokedcache.stores.redis.commands import Commands as RedisCommands
from yokedcache.stores.redis.layout import Layout
from yokedcache.stores.sqlite.client import SqliteClient
from yokedcache.stores.sqlite.commands import Commands as SqliteCommands
from yokedcache.stores.sqlite.layout import Names, numbers
from yokedcache.testing.stores import CacheSuite, Process, StoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LEASE = 30.0
NEVER_FULL = 1 << 40


def ticket() -> float:
    return 0.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer.running() as running:
        yield running


class TestRedis(StoreSuite):
    """
    One kind of server: `tests/stores/redis` has all of them.
    """

    lease: ClassVar[float] = LEASE

    @pytest.fixture
    def connect(self, server: RedisServer) -> Callable[..., RedisClient]:
        self.server_asked = server

        def opened(*, lease: float) -> RedisClient:
            commands = RedisCommands(Layout("suite"), lease=lease)
            return RedisClient(server.url(), commands, ticket, limit=20.0)

        return opened

    def settle(self, process: Process) -> None:
        process.bump()
        version = self.server_asked.say("GET", "suite:n").rpartition(".")[0]
        self.server_asked.say("SET", "suite:n", f"{version}.1")
        self._forget_born(process)

    def _forget_born(self, process: Process) -> None:
        for key in self.server_asked.say("KEYS", "suite:t:*"):
            if ";0," in (self.server_asked.say("GET", key) or ""):
                self.server_asked.say("DEL", key)

    def lose_memory(self, process: Process) -> None:
        self.server_asked.say("FLUSHALL")

    def lose_tag(self, process: Process, name: str) -> bool:
        made: Any = process.commands.tags([name])
        return self.server_asked.say("DEL", made.keys[0].decode()) == 1

    def lose_log(self, process: Process) -> bool:
        return self.server_asked.say("DEL", "suite:l") == 1


class TestSqlite(StoreSuite):
    """
    A file, whose memory is lost by deleting it.
    """

    lease: ClassVar[float] = LEASE

    @pytest.fixture
    def connect(self, tmp_path: Path) -> Callable[..., SqliteClient]:
        self.path = tmp_path / "a cache?.db"

        def opened(*, lease: float) -> SqliteClient:
            commands = SqliteCommands(Names("suite"), lease=lease, max_bytes=NEVER_FULL)
            return SqliteClient(str(self.path), commands, ticket)

        return opened

    def say(self, *statement: Any) -> int:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(*statement).rowcount

    def settle(self, process: Process) -> None:
        process.bump()
        self.say("UPDATE counter SET birth = 0")
        self.say("DELETE FROM tags WHERE fences LIKE '%[\"0\",%'")

    def lose_memory(self, process: Process) -> None:
        self.path.unlink()

    def lose_tag(self, process: Process, name: str) -> bool:
        (number,) = numbers(process.commands.tags([name]).digests)
        return self.say("DELETE FROM tags WHERE digest = ?", (number,)) == 1


class TestCachesOnSqlite(CacheSuite):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/cache.db"


class TestCachesOnRedis(CacheSuite):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url


class TestCachesOverASocket(CacheSuite):
    @pytest.fixture
    def url(self, redis_server: RedisServer) -> str:
        return redis_server.url(socket=True)


@pytest.fixture(scope="module")
def watched() -> Iterator[SentinelGroup]:
    with SentinelGroup.running() as group:
        yield group


class TestCachesBehindSentinels(CacheSuite):
    @pytest.fixture
    def url(self, watched: SentinelGroup) -> str:
        return watched.url()


class TestCachesInMemory(CacheSuite):
    processes = 1

    @pytest.fixture
    def url(self) -> str:
        return "memory://"

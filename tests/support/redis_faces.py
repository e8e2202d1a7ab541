"""
One body of a test for both drivers of the Redis store.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio

from yokedcache.stores.envelope import Times
from yokedcache.stores.patience import counting
from yokedcache.stores.redis import aio, aio_client, sync
from yokedcache.stores.redis.cluster.aio import AsyncClusterStore
from yokedcache.stores.redis.cluster.commands import ClusterCommands
from yokedcache.stores.redis.cluster.layout import ClusterLayout
from yokedcache.stores.redis.cluster.sync import ClusterStore
from yokedcache.stores.redis.commands import Commands
from yokedcache.stores.redis.layout import Layout
from yokedcache.stores.redis.results import Hit, Miss
from yokedcache.stores.redis.ways import read_way

if TYPE_CHECKING:
    from tests.services.redis import RedisCluster, RedisServer
    from yokedcache.stores.redis.cluster.parts import Part
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.results import RaisedFence, Stamp

FACES = ("sync", "async")

NEVER_LATE = 20.0
"""Seconds for an operation where the test is not about time."""

LONG = 1000.0
"""A lease that doesn't end while a test runs."""

_TOKENS = itertools.count(1)

TIMES = Times(1.0, 61.0, 121.0)


class Counting(redis.Connection):
    """
    A connection that counts how often something is sent.
    """

    sent = 0

    def send_packed_command(self, command: Any, check_health: bool = True) -> Any:
        Counting.sent += 1
        return super().send_packed_command(command, check_health)


class AsyncCounting(redis.asyncio.Connection):
    """
    The same in an event loop.
    """

    sent = 0

    async def _connect(self) -> None:
        await super()._connect()
        transport: Any = self._writer.transport  # type: ignore[union-attr]
        write = transport.write

        def counting(data: Any) -> None:
            AsyncCounting.sent += 1
            write(data)

        transport.write = counting
        # which joins what it is given, from Python 3.12 on without `write`
        transport.writelines = lambda lines: counting(b"".join(lines))


COUNTING: dict[str, Any] = {"sync": Counting, "async": AsyncCounting}


class Face:
    """
    A store, its commands, and short ways to do what tests do all the time.
    """

    kind: str
    store: Any
    times = TIMES

    def __init__(self, server: RedisServer, *, lease: float, prefix: str) -> None:
        self.server = server
        self.layout = Layout(prefix)
        self.commands = Commands(self.layout, lease=lease)

    def do(self, operation: Operation[Any], limit: float | None = None) -> Any:
        raise NotImplementedError

    def shut(self, client: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def idle(self) -> None:
        """
        Let an event loop see what came meanwhile, as one that runs does.
        """

    def settle(self) -> None:
        """
        Let the counter be old, so that nothing is fenced for lost memory.
        """
        self.do(self.commands.bump([]))
        counter = self.layout.counter.decode()
        version = self.server.say("GET", counter).rpartition(".")[0]
        self.server.say("SET", counter, f"{version}.1")

    def tag(self, name: str) -> str:
        """
        Return the key of a tag.
        """
        return self.layout.tags([name]).keys[0].decode()

    def stamp(self, *tags: str, keep: float = 60.0) -> Stamp:
        return self.do(self.commands.stamp(tags, keep=keep))

    def fill(self, key: str, payload: bytes, *tags: str) -> str | None:
        """
        Store what is loaded at once.
        """
        return self.put(key, payload, self.stamp(*tags))

    def put(self, key: str, payload: bytes, stamp: Stamp) -> str | None:
        return self.do(self.commands.store(key, payload, stamp, TIMES, life=60))

    def read(self, key: str, *tags: str) -> bytes | str:
        """
        Give the payload, or why there is none.
        """
        found = self.do(self.commands.read(key, tags))
        if isinstance(found, Hit):
            return bytes(found.payload)
        assert isinstance(found, Miss)
        return found.reason

    def fence(self, *tags: str, owner: str = "") -> RaisedFence:
        token = b"token%d" % next(_TOKENS)
        return self.do(self.commands.fence(tags, token, owner))

    def lift(self, fence: RaisedFence) -> int:
        """
        Tell on how many tags the fence was missing.
        """
        return self.do(self.commands.lift(fence)).missing

    def bump(self, *tags: str) -> bytes:
        return self.do(self.commands.bump(tags))


class SyncFace(Face):
    kind = "sync"

    def __init__(
        self, server: RedisServer, *, lease: float, prefix: str, **options: Any
    ) -> None:
        super().__init__(server, lease=lease, prefix=prefix)
        url = options.pop("url", None) or server.url()
        limit = options.pop("limit", NEVER_LATE)
        self.client = sync.connect(url, **options)
        self.store = sync.RedisStore(self.client, limit=limit)

    def do(self, operation: Operation[Any], limit: float | None = None) -> Any:
        return self.store.perform(operation, limit)

    def shut(self, client: Any) -> None:
        client.close()

    def close(self) -> None:
        self.shut(self.client)


class AsyncFace(Face):
    kind = "async"

    def __init__(
        self, server: RedisServer, *, lease: float, prefix: str, **options: Any
    ) -> None:
        super().__init__(server, lease=lease, prefix=prefix)
        url = options.pop("url", None) or server.url()
        limit = options.pop("limit", NEVER_LATE)
        self._runner = asyncio.Runner()
        self.client = aio_client.connect(url, **options)
        self.store = aio.AsyncRedisStore(self.client, limit=limit)

    def do(self, operation: Operation[Any], limit: float | None = None) -> Any:
        async def done() -> Any:
            return await self.store.perform(operation, limit)

        return self._runner.run(done())

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def shut(self, client: Any) -> None:
        self.run(client.aclose())

    def idle(self) -> None:
        for _ in range(3):
            self._runner.run(asyncio.sleep(0))

    def close(self) -> None:
        self.shut(self.client)
        self._runner.close()


class ClusterFace(Face):
    """
    A store in a Cluster, by one of the drivers.
    """

    commands: ClusterCommands

    def __init__(
        self,
        kind: str,
        cluster: RedisCluster,
        *,
        lease: float = LONG,
        prefix: str = "t",
        url: str | None = None,
    ) -> None:
        self.kind = kind
        self.cluster = cluster
        way = read_way(url or cluster.url())
        self.commands = ClusterCommands(ClusterLayout(prefix), lease=lease)
        self.layout = self.commands.layout
        self.runner = asyncio.Runner()
        made = {"sync": ClusterStore, "async": AsyncClusterStore}[kind]
        self.store = made(way, limit=NEVER_LATE)

    def do(self, operation: Operation[Any], limit: float | None = None) -> Any:
        if self.kind == "sync":
            return self.store.perform(operation, limit)
        return self.runner.run(self.store.perform(operation, limit))

    def do_part(self, part: Part) -> Any:
        """
        Do a part of a plan alone.
        """
        if self.kind == "sync":
            (result,) = self.store._ask([part], time.monotonic() + NEVER_LATE)
            return result

        async def asked() -> Any:
            with counting(NEVER_LATE) as countdown:
                (result,) = await self.store._ask([part], countdown)
            return result

        return self.runner.run(asked())

    def say(self, key: str, *words: Any) -> Any:
        """
        Send a command to the owner of a key.
        """
        return self.cluster.owner(key).say(*words)

    def settle(self) -> None:
        self.stamp()
        for island in self.commands.layout.islands:
            counter = island.counter.decode()
            version = self.say(counter, "GET", counter).rpartition(".")[0]
            self.say(counter, "SET", counter, f"{version}.1")

    def on_nodes(self, count: int) -> list[str]:
        """
        Return names of tags, each on another node.
        """
        found: dict[int, str] = {}
        for name in map(str, itertools.count()):
            found.setdefault(self.cluster.owner(self.tag(name)).port, name)
            if len(found) == count:
                return list(found.values())
        raise AssertionError

    def close(self) -> None:
        if self.kind == "sync":
            self.store.close()
        else:
            self.runner.run(self.store.aclose())
        self.runner.close()


def make_face(
    kind: str,
    server: RedisServer,
    *,
    lease: float = LONG,
    prefix: str = "t",
    **options: Any,
) -> Face:
    """
    Connect to a server by one of the drivers.
    """
    made = {"sync": SyncFace, "async": AsyncFace}[kind]
    return made(server, lease=lease, prefix=prefix, **options)

"""
Section `redis_reads`: a read of one entry with one tag, and what an entry takes.

Held against the same client's GET of the same bytes, decoding included. Both wait for a
server, so they are measured by the wall. This is the store alone; `shared_hits` measures
the whole library over it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from environments import PROJECT
from measure import PASSED, Effort, Line, Run, compare, contest, quiet, repeat
from redis_weights import weigh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE = "Reads from Redis, one entry with one tag, sequential"

ROW = {"id": 1, "name": "Ada Lovelace", "mail": "ada@example.org", "active": True}
LIFE = 3600.0

ENTRIES, ENTRIES_QUICK = 20_000, 5_000


def measure(effort: Effort) -> Iterator[Line]:
    """
    Read in turns, then weigh entries.
    """
    # the servers of the tests, found or started as there
    sys.path.append(str(PROJECT))
    services: Any = importlib.import_module("tests.services.redis")
    with ExitStack() as stack:
        server = stack.enter_context(services.RedisServer.running())
        contenders = {**_sync(server, stack), **_async(server, stack)}
        times = contest(contenders, effort)
    yield compare(times, "async", "async ours", "async GET", 1.15)
    yield compare(times, "sync", "sync ours", "sync GET", 1.3)
    yield from weigh(services, ENTRIES_QUICK if effort.quick else ENTRIES)


def _sync(server: Any, stack: ExitStack) -> dict[str, Run]:
    redis = importlib.import_module("redis")
    sync = importlib.import_module("yokedcache.stores.redis.sync")
    client = stack.enter_context(sync.connect(server.url()))
    store, commands = sync.RedisStore(client, limit=5.0), made_commands()
    packed, unpack = codec()
    settle(server, commands, store)
    stamp = store.perform(commands.stamp(["a"], keep=LIFE))
    store.perform(commands.store("key", packed, stamp, a_while(), life=LIFE))
    bare = stack.enter_context(redis.Redis.from_url(server.url()))
    bare.set("key", packed)
    tags = commands.tags(["a"])

    def ours() -> Any:
        return unpack(store.perform(commands.read("key", tags)).payload)

    def theirs() -> Any:
        return unpack(bare.get("key"))

    assert ours() == theirs() == ROW
    return {"sync ours": repeat(ours, PASSED), "sync GET": repeat(theirs, PASSED)}


def _async(server: Any, stack: ExitStack) -> dict[str, Run]:
    redis = importlib.import_module("redis.asyncio")
    aio = importlib.import_module("yokedcache.stores.redis.aio")
    aio_client = importlib.import_module("yokedcache.stores.redis.aio_client")
    runner = stack.enter_context(asyncio.Runner())
    client, bare = aio_client.connect(server.url()), redis.Redis.from_url(server.url())
    stack.callback(lambda: runner.run(bare.aclose()))
    stack.callback(lambda: runner.run(client.aclose()))
    store, commands = aio.AsyncRedisStore(client, limit=5.0), made_commands()
    _, unpack = codec()
    tags = commands.tags(["a"])

    async def ours() -> Any:
        found = await store.perform(commands.read("key", tags))
        return unpack(found.payload)

    async def theirs() -> Any:
        return unpack(await bare.get("key"))

    def run(once: Callable[[], Any]) -> Run:
        async def turns(calls: int) -> float:
            with quiet():
                began = PASSED()
                for _ in range(calls):
                    await once()
                return PASSED() - began

        return lambda calls: runner.run(turns(calls))

    assert runner.run(ours()) == runner.run(theirs()) == ROW
    return {"async ours": run(ours), "async GET": run(theirs)}


def codec() -> tuple[bytes, Callable[[Any], Any]]:
    msgpack = importlib.import_module("msgpack")
    frame = importlib.import_module("yokedcache.codec.frame")
    return frame.pack(msgpack.packb(ROW)), lambda data: msgpack.unpackb(
        frame.unpack(data).payload
    )


def made_commands() -> Any:
    """
    Make the operations of a store.
    """
    commands = importlib.import_module("yokedcache.stores.redis.commands")
    layout = importlib.import_module("yokedcache.stores.redis.layout")
    return commands.Commands(layout.Layout(), lease=LIFE)


def a_while() -> Any:
    """
    Give the times of an entry that is stored now.
    """
    envelope = importlib.import_module("yokedcache.stores.envelope")
    now = time.time()
    return envelope.Times(now, now + LIFE, now + LIFE)


def settle(server: Any, commands: Any, store: Any) -> None:
    """
    Let the counter be old: on a server that is new all tags are fenced for a lease.
    """
    version = store.perform(commands.bump([])).decode()
    server.say("SET", commands.layout.counter.decode(), f"{version}.1")

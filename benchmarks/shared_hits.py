"""
Section `shared_hits`: a hit of a decorated function with one tag, answered over Redis.

Held against the same client library's GET of the same bytes, decoding included: one
after the other, and 64 at a time. Both wait for a server, so they are measured by the
wall.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments import PROJECT
from measure import PASSED, Effort, Line, Run, Spread, compare, contest, quiet, repeat
from redis_reads import ROW, codec

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

TITLE = "A hit of f(1), one tag, over Redis"

CROWD = 64
PROCESSES, CALLERS = 4, 500

_WAIT = 10.0
"""Seconds in which a new server must be trusted."""


def measure(effort: Effort) -> Iterator[Line]:
    """
    Read in turns.
    """
    # the servers of the tests, found or started as there
    sys.path.append(str(PROJECT))
    services: Any = importlib.import_module("tests.services.redis")
    with ExitStack() as stack:
        server = stack.enter_context(services.RedisServer.running())
        os.environ["YOKEDCACHE_URL"] = server.url()
        app: Any = importlib.import_module("shared_app")
        for cache in (app.cache, app.near, app.memory):
            stack.callback(cache.sync.close)
        contenders = {**_sync(server, app, stack), **_async(server, app, stack)}
        times = contest(contenders, effort)
    yield compare(times, "async hit", "async ours", "async GET", 1.15)
    yield compare(times, f"{CROWD} async hits at once", "crowd ours", "crowd GET", 0.2)
    yield compare(times, "sync hit", "sync ours", "sync GET", 1.3)
    yield compare(times, "near hit", "near", "memory", 1.5)
    yield _stampede(services)


def _stampede(services: Any) -> Line:
    """
    Let processes loose on one cold key.
    """
    with services.RedisServer.running() as server:
        told = [sys.executable, str(Path(__file__).with_name("shared_crowd.py"))]
        told += [server.url(), str(PROCESSES), str(CALLERS)]
        path = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
        crowd = [subprocess.Popen(told, env=path) for _ in range(PROCESSES)]
        assert not any(process.wait() for process in crowd)
        runs = int(server.say("GET", "calls"))
    what = f"{PROCESSES} processes x {CALLERS} tasks"
    return Line(what, f"{runs} calls", "one key", Spread.of([float(runs)]), 1.0)


def _sync(server: Any, app: Any, stack: ExitStack) -> dict[str, Run]:
    redis: Any = importlib.import_module("redis")
    bare = stack.enter_context(redis.Redis.from_url(server.url()))
    packed, unpack = codec()
    for number in range(CROWD):
        bare.set(f"key:{number}", packed)

    def ours() -> Any:
        return app.user_here(1)

    def theirs() -> Any:
        return unpack(bare.get("key:1"))

    _warm(app.cache, ours)
    assert ours() == theirs() == ROW
    return {"sync ours": repeat(ours, PASSED), "sync GET": repeat(theirs, PASSED)}


def _warm(cache: Any, ask: Callable[[], Any]) -> None:
    """
    Ask until it is answered from a cache: a server that is new isn't trusted at once.
    """
    ends, before = time.monotonic() + _WAIT, cache.stats().total.hits
    while cache.stats().total.hits == before:
        assert time.monotonic() < ends, cache.stats().total
        ask()


def _async(server: Any, app: Any, stack: ExitStack) -> dict[str, Run]:
    redis: Any = importlib.import_module("redis.asyncio")
    runner = stack.enter_context(asyncio.Runner())
    bare = redis.Redis.from_url(server.url())
    stack.callback(lambda: runner.run(bare.aclose()))
    _, unpack = codec()

    async def theirs(number: int = 1) -> Any:
        return unpack(await bare.get(f"key:{number}"))

    async def crowd(ask: Callable[[int], Coroutine[Any, Any, Any]]) -> None:
        await asyncio.gather(*map(ask, range(CROWD)))

    def run(once: Callable[[], Coroutine[Any, Any, Any]]) -> Run:
        async def turns(calls: int) -> float:
            with quiet():
                began = PASSED()
                for _ in range(calls):
                    await once()
                return PASSED() - began

        return lambda calls: runner.run(turns(calls))

    _warm(app.cache, lambda: runner.run(crowd(app.user)))
    _warm(app.near, lambda: runner.run(app.user_near(1)))
    _warm(app.memory, lambda: runner.run(app.user_in_memory(1)))
    assert runner.run(app.user(1)) == runner.run(theirs()) == ROW
    return {
        "async ours": run(lambda: app.user(1)),
        "async GET": run(theirs),
        "crowd ours": run(lambda: crowd(app.user)),
        "crowd GET": run(lambda: crowd(theirs)),
        "near": run(lambda: app.user_near(1)),
        "memory": run(lambda: app.user_in_memory(1)),
    }

"""
One load for all processes: a crowd that wants a cold key runs its function once.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.services.processes import wait_until
from tests.shared.functions import Copy
from tests.support.held import LIMIT
from yokedcache import YokedCache, cached
from yokedcache.boarding import CHEAP
from yokedcache.shared.claiming import MOST
from yokedcache.shared.resting import Rest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.services.redis import RedisServer

Caches = "tuple[YokedCache, YokedCache]"


@pytest.fixture(autouse=True)
def no_claims(server: RedisServer) -> None:
    for key in claims(server):
        server.say("DEL", key)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def copies(caches: Caches, body: Any, **options: Any) -> tuple[Copy, Copy]:
    one, other = (Copy(cache, "once", body, **options) for cache in caches)
    return one, other


def claims(server: RedisServer) -> list[str]:
    return [str(key) for key in server.say("KEYS", "yc:f:*")]


def waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """
    Tell when somebody waits for another process.
    """
    rests, here = threading.Event(), Rest.here

    def noted(rest: Rest) -> None:
        rests.set()
        here(rest)

    monkeypatch.setattr(Rest, "here", noted)
    return rests


def test_the_other_process_waits_for_the_one_that_loads(
    caches: Caches, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = copies(caches, lambda n: [n], tags=["t"])
    one.gate.clear()
    rests = waits(monkeypatch)
    first = pool.submit(one, 1)
    assert one.begun.wait(LIMIT)
    second = pool.submit(other, 1)
    assert rests.wait(LIMIT)
    one.gate.set()
    assert first.result(LIMIT) == second.result(LIMIT) == [1]
    assert (one.calls, other.calls) == ([1], [])


async def test_tasks_wait_without_holding_up_their_loop(caches: Caches) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()
    calls: list[int] = []

    async def slow(n: int) -> int:
        calls.append(n)
        begun.set()
        await gate.wait()
        return n

    slow.__qualname__ = "slow"
    slow.__module__ = __name__
    mine = [cached(cache=cache)(slow) for cache in caches]
    for function in mine:
        globals()["slow"] = function
        function.handle.core.shared_name()  # type: ignore[attr-defined]
    first = asyncio.create_task(mine[0](1))
    await begun.wait()
    others = [asyncio.create_task(mine[1](1)) for _ in range(50)]
    for _ in range(20):
        await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(first, *others) == [1] * 51
    assert calls == [1]


def test_who_died_is_waited_for_no_longer_than_its_claim(
    redis_caches: Caches, server: RedisServer
) -> None:
    one, _ = copies(redis_caches, lambda n: n)
    key = claimed_key(redis_caches[0], one)
    server.say("SET", key, "dead", "PX", 150)
    began = time.monotonic()
    assert one(1) == 1
    assert time.monotonic() - began > 0.1
    assert one(1) == 1
    assert one.calls == [1]


def claimed_key(cache: YokedCache, copy: Copy, n: int = 1) -> str:
    from yokedcache.shared.keys import shared_key

    copy.be_here()
    raw = shared_key(copy.function.handle.core.request((n,)).key)
    store: Any = cache.machine.store
    found: bytes = store.server.commands.layout.claim(raw)
    return found.decode()


def test_a_wait_has_a_limit(open_cache: Callable[..., YokedCache], server: Any) -> None:
    cache = open_cache(server, flight_timeout=0.1)
    copy = Copy(cache, "limit", lambda n: n)
    server.say("SET", claimed_key(cache, copy), "slow", "PX", 60_000)
    assert copy(1) == 1
    assert copy(1) == 1
    assert copy.calls == [1]


def test_nobody_waits_for_more_than_two(caches: Caches, monkeypatch: Any) -> None:
    one, _ = copies(caches, lambda n: n)
    server: Any = caches[0].machine.store.server
    here, asked = server.here, []

    def busy(operation: Any) -> Any:
        if getattr(operation, "asked", "") == "claim":
            asked.append(operation)
            answer = here(operation)
            answer.holder = b"of %d" % len(asked)
            return answer
        return here(operation)

    monkeypatch.setattr(server, "here", busy)
    assert one(1) == 1
    assert len(asked) == MOST + 1


@pytest.mark.parametrize("gives", ["a value", "an error", "nothing that is kept"])
def test_a_claim_is_given_up(
    redis_caches: Caches, server: RedisServer, gives: str
) -> None:
    def body(n: int) -> Any:
        assert claims(server)
        if gives == "an error":
            raise ValueError(n)
        return n

    one, other = copies(redis_caches, body, condition=lambda _: gives == "a value")
    for copy in (one, other):
        if gives == "an error":
            with pytest.raises(ValueError, match="1"):
                copy(1)
        else:
            assert copy(1) == 1
        assert claims(server) == []
    assert len(one.calls + other.calls) == (1 if gives == "a value" else 2)


def test_what_is_stale_is_served_while_another_process_renews_it(
    redis_caches: Caches, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = copies(redis_caches, lambda n: [n], ttl=60, stale=600)
    one(1)
    now = time.monotonic() + 100
    monkeypatch.setattr(redis_caches[0].machine.store, "_clock", lambda: now)
    monkeypatch.setattr(redis_caches[0].machine, "clock", lambda: now)
    redis_caches[0].machine.tally(one.function.handle.core.name).cost = 1.0
    server.say("SET", claimed_key(redis_caches[0], one), "other", "PX", 60_000)
    assert one(1) == [1]
    assert one.calls == [1]  # and nothing is renewed by this one


def test_inside_another_load_nobody_waits(
    redis_caches: Caches, server: RedisServer
) -> None:
    one, _ = copies(redis_caches, lambda n: n)
    server.say("SET", claimed_key(redis_caches[0], one), "a circle", "PX", 60_000)

    @cached(cache=redis_caches[0])
    def outer() -> Any:
        return one(1)

    assert outer() == 1
    assert one.calls == [1]


def patience_of(cache: YokedCache, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """
    Tell how long other processes would be waited for.
    """
    patience: list[float] = []
    store: Any = cache.machine.store
    claiming = store.claiming

    def noted(*told: Any, **options: Any) -> Any:
        patience.append(options["patience"])
        return claiming(*told, **options)

    monkeypatch.setattr(store, "claiming", noted)
    return patience


def test_hole_15_who_holds_a_connection_waits_for_no_other_process(
    open_cache: Callable[..., YokedCache],
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    cache = open_cache(server, flight_timeout=0.1)
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")

    @cached(cache=cache)
    def number(session: Session, n: int) -> int:
        return n

    with Session(engine) as session:
        session.connection()
        patience = patience_of(cache, monkeypatch)
        assert number(session, 2) == 2
    assert patience == [0.0]
    engine.dispose()


async def test_blocking_code_in_a_loop_waits_for_nobody(
    redis_caches: Caches, server: RedisServer, may_block: None
) -> None:
    one, _ = copies(redis_caches, lambda n: n)
    server.say("SET", claimed_key(redis_caches[0], one), "its own loop", "PX", 60_000)
    assert one(1) == 1


def test_a_short_load_is_not_claimed(redis_caches: Caches, server: RedisServer) -> None:
    one, _ = copies(redis_caches, lambda n: claims(server))
    assert len(one(1)) == 1  # nobody knows yet
    redis_caches[0].machine.tally(one.function.handle.core.name).cost = CHEAP / 2
    assert one(2) == []


def test_a_store_that_fails_claims_nothing(caches: Caches, monkeypatch: Any) -> None:
    from yokedcache.errors import StoreError

    one, _ = copies(caches, lambda n: n)
    server: Any = caches[0].machine.store.server
    here = server.here

    def failing(operation: Any) -> Any:
        if getattr(operation, "asked", "") in {"claim", "release"}:
            raise StoreError("it is gone")
        return here(operation)

    monkeypatch.setattr(server, "here", failing)
    assert one(1) == 1
    assert one.calls == [1]


CROWD = """
import asyncio, sys, time
from yokedcache import YokedCache, cached
import redis
cache = YokedCache({url!r}, store_timeout=10.0, jitter=0.0)
counter = redis.Redis.from_url({url!r})
@cached(ttl=60)
async def slow(n):
    counter.incr("calls")
    await asyncio.sleep(0.5)
    return n
async def main():
    while not cache.stats().total.hits:  # a new server isn't trusted at once
        await cache.set("settled", 1)
        await cache.get("settled")
    counter.incr("ready")
    while int(counter.get("ready")) < {processes}:
        await asyncio.sleep(0.005)
    assert await asyncio.gather(*(slow(7) for _ in range({callers}))) == [7] * {callers}
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_four_processes_of_five_hundred_callers_run_it_once(
    redis_server: RedisServer, tmp_path: Any
) -> None:
    script = tmp_path / "crowd.py"
    script.write_text(
        CROWD.format(url=redis_server.url(), processes=4, callers=500), "utf-8"
    )
    crowd = [subprocess.Popen([sys.executable, str(script)]) for _ in range(4)]
    assert [process.wait(100) for process in crowd] == [0] * 4
    assert redis_server.say("GET", "calls") == "1"
    wait_until(lambda: claims(redis_server) == [])

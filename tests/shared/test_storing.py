"""
A store that takes nothing new, or not in time, goes on being asked what it has.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.services.processes import wait_until
from yokedcache import YokedCache, cached
from yokedcache.core.breaker import FAILURES
from yokedcache.errors import StoreError
from yokedcache.runtime import log
from yokedcache.shared.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer

MANY = 10
"""More failures in a row than a breaker lets pass."""


@pytest.fixture
def cache(redis_server: RedisServer) -> Iterator[YokedCache]:
    """
    Give a cache whose shared store has an answer.
    """
    made = YokedCache(redis_server.url(), lease=0.2, jitter=0.0, store_timeout=5.0)
    wait_until(lambda: made.sync.set("warm", 1))
    yield made
    made.sync.close()


def loads_in_vain(cache: YokedCache, loop: bool) -> None:
    """
    Load at once what isn't there and can't be stored, under keys and tags that are new.
    """
    loading = threading.Barrier(MANY)

    @cached(cache=cache, ttl=60, tags=["of:{number}"])
    async def load_async(number: int) -> bytes:
        await asyncio.sleep(0)
        return bytes(number)

    @cached(cache=cache, ttl=60, tags=["of:{number}"])
    def load(number: int) -> bytes:
        loading.wait()
        return bytes(number)

    async def load_all() -> list[bytes]:
        return await asyncio.gather(*map(load_async, range(MANY)))

    if loop:
        assert asyncio.run(load_all()) == list(map(bytes, range(MANY)))
        return
    with ThreadPoolExecutor(MANY) as pool:
        assert list(pool.map(load, range(MANY))) == list(map(bytes, range(MANY)))


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_a_full_server_goes_on_serving_what_is_there(
    redis_server: RedisServer, cache: YokedCache, loop: bool
) -> None:
    redis_server.configure(maxmemory=1)
    loads_in_vain(cache, loop)
    assert cache.sync.get("warm") == 1
    assert not cache.sync.set("new", 2)
    assert cache.stats().store_failures > MANY
    assert cache.sync.get("warm") == 1
    redis_server.configure(maxmemory=0)
    assert cache.sync.set("new", 2)
    assert cache.sync.get("new") == 2


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_what_is_stored_too_slowly_keeps_nobody_from_looking(
    cache: YokedCache,
    loop: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = cache.machine.store.server.client
    tried: list[str] = []

    def slow(operation: Any) -> None:
        if operation.asked == "store":
            tried.append(operation.asked)
            message = "it didn't store in time"
            raise StoreError(message, asked="store")

    perform, perform_async = client.perform, client.perform_async

    def in_a_thread(operation: Any, limit: float) -> Any:
        slow(operation)
        return perform(operation, limit)

    async def in_a_loop(operation: Any, limit: float) -> Any:
        slow(operation)
        return await perform_async(operation, limit)

    monkeypatch.setattr(client, "perform", in_a_thread)
    monkeypatch.setattr(client, "perform_async", in_a_loop)
    loads_in_vain(cache, loop)
    assert cache.sync.get("warm") == 1
    assert cache.stats().store == "takes_nothing"
    failed = len(tried)
    assert failed >= FAILURES
    assert not cache.sync.set("new", 2)
    assert len(tried) == failed  # nor is each waited for
    assert "so it is given none for a while" in caplog.text
    monkeypatch.undo()
    wait_until(lambda: cache.sync.set("new", 2))
    # no outage has ended, after which nothing would be served for a while
    assert cache.sync.get("warm") == 1
    assert "answers again" not in caplog.text


class Client:
    """
    Does what it is told, in no time.
    """

    commands = None
    fails: Callable[[Any], Exception | None] = staticmethod(lambda _: None)

    def perform(self, operation: Any, limit: float) -> str:
        error = self.fails(operation)
        if error is not None:
            raise error
        return "done"

    async def perform_async(self, operation: Any, limit: float) -> str:
        return self.perform(operation, limit)


class Asked:
    """
    An operation by its name.
    """

    sent = until = 0.0

    def __init__(self, asked: str, *, large: bool = False) -> None:
        self.asked = asked
        self.large = large


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def server(now: list[float]) -> Server:
    client: Any = Client()
    clock = lambda: now[0]  # noqa: E731
    return Server(client, clock, clock, lease=10.0, limit=0.05, patience=1.0)


def test_what_is_too_large_to_be_stored_prolongs_no_outage(
    server: Server, now: list[float]
) -> None:
    client: Any = server.client
    client.fails = lambda _: StoreError("it is away")
    for _ in range(FAILURES):
        with pytest.raises(StoreError):
            server.perform(cast("Any", Asked("read")))
    client.fails = lambda op: StoreError("too slow") if op.large else None
    now[0] += 1.0
    served = 0
    for step in range(40):
        now[0] += 0.1
        with suppress(StoreError):
            large = step % 3 == 0
            server.perform(cast("Any", Asked("store", large=large)))
        with suppress(StoreError):
            served += server.perform(cast("Any", Asked("read"))) == "done"
    assert served >= 40 - 15  # all but those of the second after the outage
    assert server.state in {"asked", "takes_nothing"}


@pytest.mark.parametrize("asked", ["read", "fence"])
def test_a_fault_of_a_client_is_one_of_the_store(
    server: Server, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "raise_faults", False)
    client: Any = server.client
    client.fails = lambda _: TypeError("unexpected keyword argument")
    with pytest.raises(StoreError, match="TypeError"):
        server.perform(cast("Any", Asked(asked)))
    with pytest.raises(StoreError, match="TypeError"):
        asyncio.run(server.perform_async(cast("Any", Asked(asked))))
    assert server.failures == 2

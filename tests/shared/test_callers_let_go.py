"""
What asks a shared store in vain is let go of at once, with all that it holds.

An error knows the frames in which it was raised, and client libraries keep errors in
variables of those. Such a circle kept every caller's frame until the collector came by:
sessions, results, and with an open result a snapshot of a whole SQLite file.
"""

from __future__ import annotations

import asyncio
import traceback
import weakref
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.services import MemcachedServer
from tests.services.processes import free_port, wait_until
from tests.services.proxy import Proxy
from tests.services.redis import RedisCluster
from tests.support.held import until_async
from yokedcache import YokedCache
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.usefixtures("no_cycles_are_freed"),
]


class Held:
    """
    What a caller has in its hands.
    """


def call(server: Any, make: Callable[[], Any]) -> weakref.ref[Held]:
    """
    Ask a store something, with something in hand.
    """
    held = Held()
    with suppress(StoreError):
        server.perform(make())
    return weakref.ref(held)


async def call_async(server: Any, make: Callable[[], Any]) -> weakref.ref[Held]:
    held = Held()
    with suppress(StoreError):
        await server.perform_async(make())
    return weakref.ref(held)


def asks_of(server: Any) -> list[Callable[[], Any]]:
    tags = [f"t{number}" for number in range(12)]
    return [
        lambda: server.commands.read("a", tags),
        lambda: server.commands.stamp(tags),
        lambda: server.commands.bump(tags),
        server.commands.note,
    ]


WAYS: dict[str, Callable[[Proxy], Any]] = {
    "refused": lambda proxy: (proxy.refuse(), proxy.cut()),
    "cut": lambda proxy: (proxy.cut_after(0), proxy.refuse()),
    "silent": lambda proxy: proxy.swallow(),
    "silent from the first": lambda proxy: (proxy.cut(), proxy.swallow()),
}


@pytest.fixture(params=WAYS)
def out(request: pytest.FixtureRequest, server: RedisServer) -> Iterator[YokedCache]:
    """
    Give a cache whose store answers no more, with a connection that is open or not.
    """
    with Proxy((server.host, server.port)) as proxy:
        limits: dict[str, Any] = {"store_timeout": 0.1, "announce_timeout": 0.1}
        cache = YokedCache(server.url(port=proxy.port), lease=0.3, **limits)
        wait_until(lambda: cache.sync.set("settled", 1))
        WAYS[request.param](proxy)
        yield cache
        proxy.restore()
        wait_until(lambda: cache.stats().owed == 0)
        cache.sync.close()


def test_whoever_looks_up(out: YokedCache) -> None:
    def call() -> weakref.ref[Held]:
        held = Held()
        assert out.sync.get("settled") is None
        return weakref.ref(held)

    assert call()() is None
    assert out.stats().store_failures > 0


def test_whoever_changes_something(out: YokedCache) -> None:
    def call() -> weakref.ref[Held]:
        held = Held()
        out.sync.invalidate_tags("t")
        return weakref.ref(held)

    assert call()() is None
    assert out.stats().owed > 0


def test_whoever_looks_up_in_an_event_loop(out: YokedCache) -> None:
    async def call() -> weakref.ref[Held]:
        held = Held()
        assert await out.get("settled") is None
        return weakref.ref(held)

    async def story() -> None:
        assert (await call())() is None
        together = await asyncio.gather(call(), call(), return_exceptions=False)
        assert [kept() for kept in together] == [None, None]

    asyncio.run(story())
    assert out.stats().store_failures > 0


@pytest.fixture(params=["redis", "memcached", "two memcacheds", "postgresql"])
def before(request: pytest.FixtureRequest) -> Iterator[tuple[Proxy, str]]:
    """
    Give a proxy before a store, and the URL of that.
    """
    with ExitStack() as opened:
        if request.param == "postgresql":
            url = request.getfixturevalue("postgres_module_database").url()
        elif request.param == "redis":
            url = request.getfixturevalue("server").url()
        else:
            memcached = opened.enter_context(MemcachedServer.running())
            url = f"memcached://127.0.0.1:{memcached.port}"
        host, port = urlsplit(url).hostname, urlsplit(url).port
        proxy = opened.enter_context(Proxy((str(host), int(port or 0))))
        url = url.replace(f":{port}", f":{proxy.port}")
        if request.param == "two memcacheds":
            url += f",127.0.0.1:{free_port()}"
        yield proxy, url


def test_whoever_finds_that_a_connection_was_closed(
    before: tuple[Proxy, str],
) -> None:
    proxy, url = before
    cache = YokedCache(url, lease=0.3, store_timeout=5.0, announce_timeout=0.1)
    server = cache.machine.store.server
    asks = asks_of(server)

    async def story() -> None:
        for ask in asks * 2:
            kept = await call_async(server, ask)
            await until_async(lambda kept=kept: kept() is None)
            await asyncio.to_thread(proxy.cut)

    for ask in asks * 2:
        assert call(server, ask)() is None
        proxy.cut()
    asyncio.run(story())
    cache.sync.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:{port}",
        "memcached://127.0.0.1:{port}",
        "memcached://127.0.0.1:{port},127.0.0.1:{other}",
        "redis+cluster://127.0.0.1:{port}",
        "redis+sentinel://127.0.0.1:{port}/service",
        "postgresql://nobody@127.0.0.1:{port}/none",
    ],
)
def test_whoever_asks_where_nobody_listens(url: str) -> None:
    where = url.format(port=free_port(), other=free_port())
    cache = YokedCache(where, announce_timeout=0.05)
    server = cache.machine.store.server

    ask = asks_of(server)[0]
    assert call(server, ask)() is None
    kept = asyncio.run(call_async(server, ask))
    wait_until(lambda: kept() is None)  # the thread that did it comes to its end
    assert server.failures == 2
    cache.sync.close()


def test_whoever_asks_a_cluster_of_which_a_node_is_gone() -> None:
    with RedisCluster.running() as cluster:
        cache = YokedCache(cluster.url(), lease=0.3, announce_timeout=0.3)
        server = cache.machine.store.server
        asks = asks_of(server)

        async def story() -> None:
            for ask in asks:
                assert (await call_async(server, ask))() is None

        for _ in "met", "known":
            for ask in asks:
                assert call(server, ask)() is None
            asyncio.run(story())
        cluster.nodes[0].kill()
        for _ in "met", "known":
            for ask in asks:
                assert call(server, ask)() is None
            asyncio.run(story())
        assert server.failures > 0
        cache.sync.close()


def test_what_a_caller_is_handling_is_left_as_it_is(out: YokedCache) -> None:
    def fail() -> None:
        raise KeyError("an application's")

    def story() -> list[str]:
        try:
            fail()
        except KeyError as error:
            out.sync.invalidate_tags("t")
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        return []

    async def story_async() -> list[str]:
        try:
            fail()
        except KeyError as error:
            await out.get("settled")
            await out.invalidate_tags("t")
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        return []

    assert story() == ["story", "fail"]
    assert asyncio.run(story_async()) == ["story_async", "fail"]

"""
A connection of which one line has ended (FIN) while the other one stays.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.services import MemcachedServer
from tests.services.processes import wait_until
from tests.services.proxy import Proxy, Way
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer

pytestmark = pytest.mark.timeout(120)

LIMIT = 0.5
MUCH_LONGER = 5.0

KINDS = ["redis", "memcached"]
each_way = pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name.lower())


@pytest.fixture(params=KINDS)
def proxy(
    request: pytest.FixtureRequest, redis_server: RedisServer
) -> Iterator[tuple[Proxy, str]]:
    """
    Give a proxy before a server, and the URL that leads through it.
    """
    if request.param == "redis":
        with Proxy((redis_server.host, redis_server.port)) as made:
            yield made, redis_server.url(port=made.port)
        return
    with (
        MemcachedServer.running() as server,
        Proxy((server.host, server.port)) as made,
    ):
        yield made, f"memcached://{made.host}:{made.port}"


@pytest.fixture
def cache(proxy: tuple[Proxy, str]) -> Iterator[YokedCache]:
    opened = YokedCache(
        proxy[1], store_timeout=LIMIT, announce_timeout=MUCH_LONGER, lease=0.3
    )
    wait_until(lambda: opened.sync.set("key", "kept"))
    yield opened
    opened.sync.close()


class Threads:
    """
    Asks in threads.
    """

    def __init__(self, cache: YokedCache) -> None:
        self._cache = cache

    async def get(self) -> Any:
        return await self.do(self._cache.sync.get, "key")

    async def do(self, call: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, call, *given)


class Loop(Threads):
    """
    Asks in the event loop.
    """

    async def get(self) -> Any:
        return await self._cache.get("key")


FACES = pytest.mark.parametrize("face", [Threads, Loop], ids=["thread", "loop"])


def run(doing: Any) -> None:
    """
    Run it in a loop that has threads of its own.
    """

    async def with_threads() -> None:
        with ThreadPoolExecutor(4) as threads:
            asyncio.get_running_loop().set_default_executor(threads)
            await doing

    asyncio.run(with_threads())


@FACES
@each_way
def test_one_that_nobody_uses_costs_a_miss_at_most(
    proxy: tuple[Proxy, str], cache: YokedCache, face: type[Threads], way: Way
) -> None:
    asking, broken = face(cache), proxy[0]

    async def ask() -> None:
        assert await asking.get() == "kept"
        before = broken.seen.connections
        await asking.do(broken.half_close, way)
        began = time.monotonic()
        assert await asking.get() in {"kept", None}
        assert time.monotonic() - began < MUCH_LONGER
        assert await asking.get() == "kept"
        assert broken.seen.connections > before
        await cache.close()

    run(ask())


@FACES
@each_way
def test_one_that_is_waited_on_costs_a_miss_and_no_longer_than_the_limit(
    proxy: tuple[Proxy, str], cache: YokedCache, face: type[Threads], way: Way
) -> None:
    asking, broken = face(cache), proxy[0]

    async def ask() -> None:
        assert await asking.get() == "kept"
        arrived = broken.seen.arrived[Way.TO_CLIENT]
        await asking.do(broken.hold, Way.TO_CLIENT)
        began = time.monotonic()
        waiting = asyncio.ensure_future(asking.get())
        await asking.do(
            broken.wait_until, lambda seen: seen.arrived[Way.TO_CLIENT] > arrived
        )
        before = broken.seen.connections
        await asking.do(broken.half_close, way)
        assert await waiting is None
        assert time.monotonic() - began < MUCH_LONGER
        await asking.do(broken.restore)
        assert await asking.get() == "kept"
        assert broken.seen.connections > before
        await cache.close()

    run(ask())

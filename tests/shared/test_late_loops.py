"""
An event loop that comes round late has the answers of its shared store all the same.

A store that answered isn't given up for that: its work would be done again at the
database, by a loop that is late already.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services import MemcachedServer
from tests.services.redis import RedisCluster, SentinelGroup
from tests.support.memcached import url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache import YokedCache

LIMIT = 0.5
LATE = 1.0
"""
Seconds that a turn takes by the loop's clock: longer than a look-up may.
"""
TURN = 0.02
"""
Seconds that it takes: so much does a server have to answer in.
"""


class LateLoop(asyncio.SelectorEventLoop):
    """
    An event loop that has too much to do, once it is told so.
    """

    _ahead = 0.0

    def time(self) -> float:
        """
        Tell what its clock says.
        """
        return super().time() + self._ahead

    def be_late(self) -> None:
        """
        Have each turn take its time from now on.
        """
        time.sleep(TURN)
        self._ahead += LATE
        self.call_soon(self.be_late)


class Named:
    """
    A place by its URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self) -> str:
        return self._url


@pytest.fixture(
    scope="module",
    params=["redis", "sentinel", "cluster", "sqlite", "postgresql", "memcached"],
)
def anywhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """
    Give each kind of store.
    """
    with contextlib.ExitStack() as stack:
        if request.param == "redis":
            yield request.getfixturevalue("server")
        elif request.param == "postgresql":
            yield request.getfixturevalue("postgres_module_database")
        elif request.param == "sqlite":
            yield Named(f"sqlite:///{tmp_path_factory.mktemp('late')}/cache.db")
        elif request.param == "memcached":
            yield Named(url_of(stack.enter_context(MemcachedServer.several(2))))
        elif request.param == "sentinel":
            yield stack.enter_context(SentinelGroup.running())
        else:
            yield stack.enter_context(RedisCluster.running())


def test_answers_are_taken(
    anywhere: Any, open_cache: Callable[..., YokedCache]
) -> None:
    cache = open_cache(anywhere, store_timeout=LIMIT)

    loop = LateLoop()
    # a look-up may be too short for opening a connection to PostgreSQL, in any loop
    slow = "postgresql" in anywhere.url()

    async def asked() -> None:
        while slow and not await cache.set("opened", 1):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LIMIT)
        failures = cache.stats().store_failures
        loop.be_late()
        assert await cache.get_or_set("k", lambda: 1, tags=["t"]) == 1
        assert await cache.get_or_set("k", lambda: 2, tags=["t"]) == 1
        await cache.invalidate_tags("t")
        crowd = range(1 if slow else 20)
        numbers = [cache.get_or_set("k", lambda: 3, tags=["t"]) for _ in crowd]
        assert set(await asyncio.gather(*numbers)) == {3}
        assert cache.stats().store_failures == failures
        await cache.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(asked())

"""
What a cache promises wherever its entries live, asked through its public face.
"""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import YokedCache, cached
from yokedcache.testing.stores.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = itertools.count(1)


class CacheSuite:
    """
    Subclass it, and give the fixture `url`.
    """

    processes = 2
    """Caches of one URL that stand for processes; 1 where each has a memory of its own."""

    @pytest.fixture
    def url(self) -> str:
        """
        Give the URL of a store that is there.
        """
        message = "a CacheSuite has a fixture `url` that names its store"
        raise NotImplementedError(message)

    @pytest.fixture
    def caches(self, url: str) -> Iterator[tuple[YokedCache, YokedCache]]:
        """
        Give the caches of two processes, on a store that relies on its memory.
        """
        opened = [
            YokedCache(url, jitter=0.0, lease=0.3, store_timeout=10.0)
            for _ in range(self.processes)
        ]
        for cache in opened:
            wait_until(partial(cache.sync.set, "settled", 1))
        yield opened[0], opened[-1]
        for cache in opened:
            cache.sync.close()

    @pytest.fixture
    def key(self) -> str:
        """
        Give a key nobody has used.
        """
        return f"key {next(_NAMES)}"

    def test_a_value_is_the_others_too(self, caches: Any, key: str) -> None:
        one, other = caches
        for value in (1, None, "", [1, {"a": (2.5, b"x")}], "x" * 100_000):
            assert one.sync.set(key, value)
            assert other.sync.get(key, "nothing") == value
        assert other.sync.delete(key)
        assert one.sync.get(key, "nothing") == "nothing"

    def test_a_tag_ends_it(self, caches: Any, key: str) -> None:
        one, other = caches
        one.sync.set(key, 1, tags=["t", key])
        other.sync.invalidate_tags(key)
        assert one.sync.get(key) is None
        one.sync.set(key, 2, tags=["t", key])
        one.sync.clear()
        assert other.sync.get(key) is None

    def test_a_function_runs_once(self, caches: Any, key: str) -> None:
        one, other = caches
        calls: list[int] = []

        @cached(cache=one, tags=[key])
        def function(n: int) -> dict[str, int]:
            calls.append(n)
            return {"n": n}

        assert [function(3), function(3), function(3)] == [{"n": 3}] * 3
        assert calls == [3]
        other.sync.invalidate_tags(key)
        assert function(3) == {"n": 3}
        assert calls == [3, 3]

    def test_in_an_event_loop(self, caches: Any, key: str) -> None:
        one, other = caches

        async def run() -> None:
            await one.set(key, [1], tags=[key])
            assert (
                await asyncio.gather(*(other.get(key) for _ in range(9))) == [[1]] * 9
            )
            await other.invalidate_tags(key)
            assert await one.get(key) is None
            assert await one.set(key, [2])
            assert await other.delete(key)
            assert await one.get(key) is None

        asyncio.run(run())

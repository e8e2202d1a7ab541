"""
Refreshes: what is renewed in the background is what the call would have loaded.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import MISS, YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.testing import FakeClock

PATIENCE = 5.0


@pytest.mark.parametrize(
    "tags",
    [["plain", "user:{number}"], lambda number: [f"user:{number}"]],
    ids=["template", "function"],
)
@pytest.mark.parametrize("face", ["async", "blocking"])
async def test_a_refreshed_answer_keeps_the_tags_of_its_call(
    clocked: YokedCache, clock: FakeClock, tags: Any, face: str
) -> None:
    loads: list[int] = []
    renewed = threading.Event()

    def load(number: int) -> int:
        loads.append(number)
        if len(loads) > 1:
            renewed.set()
        return len(loads)

    @cached(cache=clocked, ttl=10, stale=100, tags=tags)
    async def awaited(number: int) -> int:
        return load(number)

    blocking = cached(cache=clocked, ttl=10, stale=100, tags=tags)(load)
    function: Any = awaited if face == "async" else blocking

    async def ask() -> int:
        answer = function(5)
        return int(await answer if face == "async" else answer)

    await ask()
    clock.advance(11)
    assert await ask() == 1
    await until(lambda: function.peek(5) == 2)
    clocked.sync.invalidate_tags("user:5")
    assert function.peek(5) is MISS
    assert await ask() == 3


async def until(done: Callable[[], bool]) -> None:
    """
    Let the loop and other threads go on until something is so.
    """
    async with asyncio.timeout(PATIENCE):
        while not done():  # noqa: ASYNC110 - threads know no event of this loop
            await asyncio.sleep(0)


def test_a_refreshed_answer_keeps_the_prefixes_of_its_key(clock: FakeClock) -> None:
    cache = YokedCache(jitter=0, clock=clock, prefixes=["shop"])

    @cached(cache=cache, ttl=10, stale=100, key="shop:{number}")
    async def price(number: int) -> int:
        loads.append(number)
        return len(loads)

    loads: list[int] = []

    async def story() -> None:
        await price(1)
        clock.advance(11)
        await price(1)
        await until(lambda: price.peek(1) == 2)
        cache.sync.invalidate_prefix("shop")
        assert price.peek(1) is MISS

    asyncio.run(story())
    cache.sync.close()


def test_a_refresh_cancelled_before_it_began_leaves_no_flight(
    clocked: YokedCache, clock: FakeClock
) -> None:
    loads: list[int] = []

    @cached(cache=clocked, ttl=10, stale=100)
    async def load() -> int:
        loads.append(1)
        return len(loads)

    async def ask() -> int:
        return await load()

    assert asyncio.run(ask()) == 1
    clock.advance(11)
    # The loop ends right after the answer: its refresh is cancelled unbegun.
    assert asyncio.run(ask()) == 1
    assert len(load_terminal(clocked)) == 0
    clock.advance(200)
    assert asyncio.run(asyncio.wait_for(ask(), 1.0)) == len(loads)


def load_terminal(cache: YokedCache) -> Any:
    machine: Any = cache.sync._machine
    return machine.terminal._table


@pytest.mark.parametrize("face", ["async", "blocking"])
async def test_a_refresh_that_fails_is_said(
    clocked: YokedCache, clock: FakeClock, said: pytest.LogCaptureFixture, face: str
) -> None:
    fail = False

    def load() -> int:
        if fail:
            raise LookupError("the source is down")
        return 1

    @cached(cache=clocked, ttl=10, stale=100)
    async def awaited() -> int:
        return load()

    blocking = cached(cache=clocked, ttl=10, stale=100)(load)
    function: Any = awaited if face == "async" else blocking
    answer = function()
    assert (await answer if face == "async" else answer) == 1
    clock.advance(11)
    fail = True
    with said.at_level(logging.WARNING, "yokedcache"):
        answer = function()
        assert (await answer if face == "async" else answer) == 1
        await until(lambda: "the source is down" in said.text)


async def test_who_comes_after_an_invalidation_shares_nothing_older(
    cache: YokedCache,
) -> None:
    source, gate = [1], asyncio.Event()

    @cached(cache=cache)
    async def load() -> int:
        value = source[0]
        await gate.wait()
        return value

    early = asyncio.create_task(load())
    await asyncio.sleep(0)
    source[0] = 2
    load.invalidate()
    late = asyncio.create_task(load())
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(early, late), PATIENCE) == [1, 2]
    assert await load() == 2


async def test_who_wants_it_anew_shares_nothing_older(cache: YokedCache) -> None:
    source, gate = [1], asyncio.Event()

    @cached(cache=cache)
    async def load() -> int:
        value = source[0]
        await gate.wait()
        return value

    early = asyncio.create_task(load())
    await asyncio.sleep(0)
    source[0] = 2

    async def anew() -> int:
        return int(await load.refresh())

    late = asyncio.create_task(anew())
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(early, late), PATIENCE) == [1, 2]
    assert await load() == 2

"""
Connections of an event loop, handed on to who waits: none is lost, and nobody is passed over.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yokedcache.stores.redis.lines import Lines

MOST = 2

pytestmark = pytest.mark.anyio


async def begun(lines: Lines, count: int) -> list[asyncio.Task[Any]]:
    """
    Have so many ask for a connection, in this order.
    """
    asking = [asyncio.ensure_future(lines.take()) for _ in range(count)]
    await asyncio.sleep(0)
    return asking


def line() -> Any:
    return object()


async def test_as_many_are_opened_as_may_be() -> None:
    lines = Lines(MOST)
    asking = await begun(lines, MOST + 1)
    assert [one.done() for one in asking] == [True] * MOST + [False]
    lines.leave()
    assert await asking[-1] is None


async def test_what_was_used_last_is_used_next() -> None:
    lines = Lines(MOST)
    await begun(lines, MOST)
    first, second = line(), line()
    lines.give(first)
    lines.give(second)
    assert await lines.take() is second
    assert await lines.take() is first


async def test_who_waited_longest_is_next() -> None:
    lines = Lines(1)
    await begun(lines, 1)
    one, other = await begun(lines, 2)
    same = line()
    lines.give(same)
    await asyncio.sleep(0)
    assert (one.done(), other.done()) == (True, False)
    lines.give(one.result())
    assert await other is same
    assert not lines.free


@pytest.mark.parametrize("handed", [False, True], ids=["waiting", "handed"])
async def test_who_is_cancelled_keeps_nothing(handed: bool) -> None:
    lines = Lines(1)
    await begun(lines, 1)
    (asking,) = await begun(lines, 1)
    same = line()
    if handed:
        lines.give(same)
        asking.cancel()
    else:
        asking.cancel()
        await asyncio.sleep(0)
        lines.give(same)
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert lines.free == [same]


@given(
    most=st.integers(1, 3),
    steps=st.lists(
        st.sampled_from(["ask", "give", "leave", "cancel", "turn"]), max_size=40
    ),
)
def test_none_is_lost(most: int, steps: list[str]) -> None:
    async def done() -> None:
        lines, asking, held = Lines(most), [], []
        for step in steps:
            if step == "ask":
                asking += await begun(lines, 1)
            elif step == "cancel" and asking:
                asking.pop(len(asking) // 2).cancel()  # it may have been handed one
            elif held and step == "give":
                lines.give(held.pop() or line())
            elif held and step == "leave":
                held.pop()
                lines.leave()
            elif step == "turn":
                await asyncio.sleep(0)
            held += [one.result() for one in asking if one.done()]
            asking = [one for one in asking if not one.done()]
            assert len(held) <= most
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while held or asking:
            for one in held:
                lines.give(one or line())
            await asyncio.sleep(0)
            held = [one.result() for one in asking if one.done()]
            asking = [one for one in asking if not one.done()]
        assert len(lines.free) + lines._places == most

    asyncio.run(done())

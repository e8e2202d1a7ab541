"""
Time limits in event loops that come round late, by a clock that the tests advance.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache.stores.patience import PARTS, Countdown, within

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

LIMIT = 0.05


class Loop(asyncio.SelectorEventLoop):
    """
    An event loop each of whose turns takes as long as it is told, by its own clock.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.turn = 0.0
        self.turns = 0
        super().__init__()

    def time(self) -> float:
        """
        Tell what its clock says.
        """
        return self.now

    def go_on(self) -> None:
        """
        Let time pass, turn by turn; something is always due, so it never waits.
        """
        self.now += self.turn
        self.turns += 1
        self.call_soon(self.go_on)

    def does(self, work: Coroutine[Any, Any, None], *, turn: float) -> None:
        """
        Have something done in turns of so many seconds.
        """
        self.turn = turn
        self.call_soon(self.go_on)
        self.run_until_complete(work)


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    try:
        yield made
    finally:
        made.close()


async def turns(count: int) -> None:
    """
    Wait for so many turns.
    """
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("turn", [0.0001, 0.001, 0.002])
def test_in_time_a_limit_is_what_it_says(loop: Loop, turn: float) -> None:
    async def work() -> None:
        began = loop.now
        with pytest.raises(TimeoutError):
            async with within(LIMIT):
                await asyncio.Future()
        assert LIMIT <= loop.now - began <= LIMIT + 4 * turn

    loop.does(work(), turn=turn)


@pytest.mark.parametrize("parts", [0.5, 0.99, 1.5, 1.99])
def test_a_loop_that_is_hardly_late_has_no_more_than_some_limits(
    loop: Loop, parts: float
) -> None:
    async def work() -> None:
        began = loop.now
        with pytest.raises(TimeoutError):
            async with within(LIMIT):
                await asyncio.Future()
        assert LIMIT <= loop.now - began <= 5 * LIMIT

    loop.does(work(), turn=parts * LIMIT / PARTS)


@pytest.mark.parametrize("turn", [0.02, 0.06, 10.0])
def test_a_late_loop_is_given_its_looks(loop: Loop, turn: float) -> None:
    async def work() -> None:
        async with within(LIMIT):
            await turns(PARTS - 1)

    loop.does(work(), turn=turn)


@pytest.mark.parametrize("turn", [0.02, 0.06, 10.0])
def test_a_late_loop_gives_up_as_well(loop: Loop, turn: float) -> None:
    async def work() -> None:
        began = loop.turns
        with pytest.raises(TimeoutError):
            async with within(LIMIT):
                await asyncio.Future()
        assert loop.turns - began <= 2 * PARTS + 4  # all time passes before a look here

    loop.does(work(), turn=turn)


def test_what_arrives_with_the_alarm_is_taken(loop: Loop) -> None:
    async def work() -> None:
        answer: asyncio.Future[str] = loop.create_future()
        # asked for first, it is due before the countdown's own alarm of the same moment
        loop.call_at(loop.now + LIMIT, answer.set_result, "here")
        async with within(LIMIT):
            loop.turn = LIMIT / PARTS
            assert await answer == "here"

    loop.does(work(), turn=0.0)


def test_somebody_elses_cancelling_is_left_alone(loop: Loop) -> None:
    async def held() -> None:
        async with within(LIMIT):
            await asyncio.Future()

    async def work() -> None:
        task = asyncio.ensure_future(held())
        await turns(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.does(work(), turn=0.001)


def test_what_is_left_goes_down_by_a_part_a_look(loop: Loop) -> None:
    async def work() -> None:
        countdown = Countdown(lambda: None)
        countdown.start(1.0)
        assert countdown.left == 1.0
        loop.now += 0.15
        assert countdown.left == pytest.approx(0.85)
        loop.now += 7.0
        assert countdown.left == pytest.approx(0.9)
        await turns(2)
        assert countdown.left == pytest.approx(0.9)
        countdown.close()

    loop.does(work(), turn=0.0)


def test_one_alarm_serves_many_limits(loop: Loop) -> None:
    rung: list[float] = []
    asked: list[float] = []
    call_at = loop.call_at

    def noted(when: float, *args: Any, **more: Any) -> asyncio.TimerHandle:
        asked.append(when)
        return call_at(when, *args, **more)

    loop.call_at = noted  # type: ignore[method-assign]

    async def work() -> None:
        countdown = Countdown(lambda: rung.append(loop.now))
        for _ in range(20):
            countdown.start(LIMIT)
            countdown.stop()
        assert len(asked) == 1
        countdown.start(LIMIT / 10)
        assert len(asked) == 2  # the one that was set would have been too late
        countdown.start(LIMIT)
        began = loop.now
        while not rung:  # noqa: ASYNC110 - its own clock goes on by this
            await asyncio.sleep(0)
        assert LIMIT <= loop.now - began <= LIMIT + 4 * loop.turn
        await turns(100)
        assert len(rung) == 1
        countdown.close()

    loop.does(work(), turn=0.001)


def test_a_closed_one_never_rings(loop: Loop) -> None:
    async def work() -> None:
        rung: list[int] = []
        countdown = Countdown(lambda: rung.append(1))
        countdown.start(LIMIT)
        countdown.close()
        await turns(200)
        assert not rung

    loop.does(work(), turn=0.001)

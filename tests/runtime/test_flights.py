"""
Flights with real threads, tasks and event loops: one load, and nobody hangs.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.waiting import (
    LIMIT,
    Loads,
    board,
    flight_of,
    terminal_of,
    until,
    waiting_for,
    within,
)
from yokedcache import YokedCache, cached
from yokedcache.core.flights import Role, Seat
from yokedcache.runtime.flights import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def loads() -> Iterator[Loads]:
    made = Loads()
    yield made
    made.gate.set()


@pytest.fixture
def hasty() -> Iterator[YokedCache]:
    """
    Give a cache whose callers lose patience soon.
    """
    made = YokedCache(jitter=0, flight_timeout=0.05)
    yield made
    made.sync.close()


class TestOneLoad:
    def test_for_500_tasks(self, cache: YokedCache) -> None:
        count = 0

        @cached(cache=cache)
        async def load() -> list[int]:
            nonlocal count
            count += 1
            await asyncio.sleep(0)
            return [count]

        async def story() -> list[Any]:
            return list(await within(asyncio.gather(*(load() for _ in range(500)))))

        answers = asyncio.run(story())
        assert answers == [[1]] * 500
        assert count == 1
        assert len({id(answer) for answer in answers}) == 500

    def test_for_threads(self, cache: YokedCache, loads: Loads) -> None:
        load = cached(cache=cache)(loads.__call__)
        with ThreadPoolExecutor(40) as pool:
            futures = [pool.submit(load) for _ in range(40)]
            until(lambda: waiting_for(cache) == 39)
            loads.gate.set()
            assert {future.result(LIMIT) for future in futures} == {1}
        assert loads.count == 1

    def test_for_threads_and_tasks_of_several_loops(
        self, cache: YokedCache, loads: Loads
    ) -> None:
        @cached(cache=cache, key="one")
        async def load() -> int:
            return await asyncio.to_thread(loads)

        async def many() -> list[int]:
            return list(await within(asyncio.gather(*(load() for _ in range(100)))))

        with ThreadPoolExecutor(5) as pool:
            futures = [pool.submit(asyncio.run, many()) for _ in range(5)]
            until(lambda: waiting_for(cache) == 499)
            loads.gate.set()
            answers = [answer for future in futures for answer in future.result(LIMIT)]
        assert answers == [1] * 500
        assert loads.count == 1

    def test_a_thread_and_a_task_wait_for_each_other_s_flight(self) -> None:
        terminal = Terminal(LIMIT)
        leader = board(terminal, "k")
        assert leader.role is Role.LEAD
        seats: list[Seat] = []

        def blocking() -> None:
            seats.append(board(terminal, "k", blocking=True))
            terminal.wait(flight_of(seats[-1]))

        async def awaiting() -> None:
            seats.append(board(terminal, "k"))
            await terminal.wait_async(flight_of(seats[-1]))

        threads = [
            threading.Thread(target=blocking),
            threading.Thread(target=lambda: asyncio.run(awaiting())),
        ]
        for thread in threads:
            thread.start()
        until(lambda: sum(map(len, terminal._waiting.values())) == 2)
        terminal.land(leader, None)
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()
        assert [seat.role for seat in seats] == [Role.WAIT, Role.WAIT]


class TestLeadersThatFail:
    @pytest.mark.parametrize("callers", [2, 100])
    async def test_raising(self, cache: YokedCache, callers: int) -> None:
        count = 0

        @cached(cache=cache)
        async def load() -> int:
            nonlocal count
            count += 1
            await asyncio.sleep(0)
            if count == 1:
                raise LookupError("the first one fails")
            return 7

        answers = await within(
            asyncio.gather(*(load() for _ in range(callers)), return_exceptions=True)
        )
        assert isinstance(answers[0], LookupError)
        assert answers[1:] == [7] * (callers - 1)
        assert count == 2

    async def test_raising_always_keeps_nobody_waiting_in_line(
        self, cache: YokedCache
    ) -> None:
        inside = most = 0

        @cached(cache=cache)
        async def load() -> int:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            for _ in range(5):
                await asyncio.sleep(0)
            inside -= 1
            raise LookupError

        answers = await within(
            asyncio.gather(*(load() for _ in range(50)), return_exceptions=True)
        )
        assert {type(answer) for answer in answers} == {LookupError}
        # two flights, one after the other; then all who are left go at once
        assert most == 48
        assert not len(terminal_of(cache)._table)

    async def test_cancelled(self, cache: YokedCache) -> None:
        never, count = asyncio.Event(), 0

        @cached(cache=cache)
        async def load() -> int:
            nonlocal count
            count += 1
            if count == 1:
                await never.wait()
            return 7

        leader = asyncio.create_task(load())
        await asyncio.sleep(0)
        others = [asyncio.create_task(load()) for _ in range(20)]
        await asyncio.sleep(0)
        leader.cancel()
        assert await within(asyncio.gather(*others)) == [7] * 20
        assert count == 2
        with pytest.raises(asyncio.CancelledError):
            await leader

    async def test_a_cancelled_waiter_disturbs_nobody(self, cache: YokedCache) -> None:
        gate = asyncio.Event()

        @cached(cache=cache)
        async def load() -> int:
            await gate.wait()
            return 7

        tasks = [asyncio.create_task(load()) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[1:5]:
            task.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert await within(asyncio.gather(tasks[0], *tasks[5:])) == [7] * 6
        await asyncio.gather(*tasks, return_exceptions=True)
        assert waiting_for(cache) == 0

    async def test_never_returning(self, hasty: YokedCache) -> None:
        never, count = asyncio.Event(), 0

        @cached(cache=hasty)
        async def load() -> int:
            nonlocal count
            count += 1
            if count == 1:
                await never.wait()
            return 7

        leader = asyncio.create_task(load())
        await asyncio.sleep(0)
        assert await within(asyncio.gather(*(load() for _ in range(20)))) == [7] * 20
        assert waiting_for(hasty) == 0
        assert await within(load()) == 7
        never.set()
        assert await within(leader) == 7

    def test_a_blocking_leader_never_returning(
        self, hasty: YokedCache, loads: Loads
    ) -> None:
        def source() -> int:
            return loads() if not loads.begun.is_set() else 7

        load = cached(cache=hasty)(source)
        with ThreadPoolExecutor(10) as pool:
            leader = pool.submit(load)
            assert loads.begun.wait(LIMIT)
            assert [pool.submit(load).result(LIMIT) for _ in range(3)] == [7] * 3
            loads.gate.set()
            assert leader.result(LIMIT) == 1

    def test_a_loop_that_ended_leaves_no_flight(self, cache: YokedCache) -> None:
        never: list[asyncio.Event] = []

        @cached(cache=cache)
        async def load() -> int:
            if not never:
                never.append(asyncio.Event())
                await never[0].wait()
            return 7

        async def abandon() -> None:
            task = asyncio.create_task(load())
            await asyncio.sleep(0)
            assert not task.done()

        asyncio.run(abandon())
        assert not len(terminal_of(cache)._table)
        assert asyncio.run(within(load())) == 7


class TestTerminal:
    def test_landing_twice_changes_nothing(self) -> None:
        terminal = Terminal(LIMIT)
        seat = board(terminal, "k")
        terminal.land(seat, None)
        again = board(terminal, "k")
        sealed: Any = object()
        terminal.land(seat, sealed)
        assert flight_of(seat).sealed is None
        assert board(terminal, "k").flight is again.flight

    def test_who_comes_after_the_landing_does_not_wait(self) -> None:
        terminal = Terminal(LIMIT)
        leader = board(terminal, "k")
        late = board(terminal, "k", blocking=False)
        terminal.land(leader, None)
        began = time.monotonic()
        assert terminal.wait(flight_of(late)) is None
        assert time.monotonic() - began < LIMIT / 2

    def test_who_lost_patience_is_forgotten(self) -> None:
        terminal = Terminal(0.001)
        leader = board(terminal, "k")
        for _ in range(20):
            terminal.wait(flight_of(leader))
        assert not any(terminal._waiting.values())

    def test_a_flight_that_nobody_knows_is_forgotten(self) -> None:
        terminal = Terminal(0.001)
        seat = board(terminal, "k")
        terminal.wait(flight_of(seat))
        terminal.land(seat, None)
        del seat
        gc.collect()
        assert not len(terminal._waiting)
        assert not len(terminal._table)

"""
Functions that come back to themselves, through tasks and threads: nobody hangs.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.waiting import LIMIT, board, terminal_of, within
from yokedcache import YokedCache, cached
from yokedcache.core.flights import Role

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(5)


class TestReentry:
    async def test_a_function_that_calls_itself(self, cache: YokedCache) -> None:
        depth = 0

        @cached(cache=cache)
        async def load() -> int:
            nonlocal depth
            depth += 1
            return 1 if depth > 3 else await load() + 1

        assert await within(load()) == 4

    def test_a_blocking_function_that_calls_itself(self, cache: YokedCache) -> None:
        depth: list[int] = []

        def source() -> int:
            depth.append(1)
            return 1 if len(depth) > 3 else int(load()) + 1

        load: Any = cached(cache=cache)(source)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(load).result(LIMIT) == 4

    async def test_a_function_that_calls_itself_in_tasks_and_threads(
        self, cache: YokedCache
    ) -> None:
        depth = 0

        @cached(cache=cache)
        async def load() -> int:
            nonlocal depth
            depth += 1
            if depth > 3:
                return 1
            if depth == 2:
                return await asyncio.to_thread(lambda: asyncio.run(load()))
            return await asyncio.create_task(load())

        assert await within(load()) == 1

    async def test_two_functions_that_call_each_other(self, cache: YokedCache) -> None:
        turns = {"f": 0, "g": 0}

        async def source(me: str, other: Any) -> str:
            turns[me] += 1
            await asyncio.sleep(0)  # both have begun before one asks the other
            return me if turns[me] > 2 else f"{me}({await other()})"

        @cached(cache=cache)
        async def f() -> str:
            return await source("f", g)

        @cached(cache=cache)
        async def g() -> str:
            return await source("g", f)

        answers = await within(asyncio.gather(f(), g()))
        assert [answer[0] for answer in answers] == ["f", "g"]

    def test_two_blocking_functions_that_call_each_other(
        self, cache: YokedCache
    ) -> None:
        both = threading.Barrier(2)
        turns: dict[str, int] = {"f": 0, "g": 0}

        def source(me: str, other: Callable[[], Any]) -> str:
            turns[me] += 1
            if turns[me] == 1:
                both.wait(LIMIT)
            return me if turns[me] > 2 else f"{me}({other()})"

        f: Any = cached(cache=cache)(lambda: source("f", g))
        g: Any = cached(cache=cache)(lambda: source("g", f))
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(f), pool.submit(g)]
            answers = [future.result(LIMIT / 2) for future in futures]
        assert [answer[0] for answer in answers] == ["f", "g"]

    async def test_a_blocking_call_on_the_thread_of_its_leader_s_loop(
        self, cache: YokedCache
    ) -> None:
        terminal, gate = terminal_of(cache), asyncio.Event()

        @cached(cache=cache, key="shared")
        async def load() -> int:
            await gate.wait()
            return 1

        leader = asyncio.create_task(load())
        await asyncio.sleep(0)
        (key,) = terminal._table._flights
        assert board(terminal, key, blocking=True).role is Role.ALONE
        assert board(terminal, key).role is Role.WAIT
        elsewhere = await asyncio.to_thread(board, terminal, key, blocking=True)
        assert elsewhere.role is Role.WAIT
        gate.set()
        assert await within(leader) == 1

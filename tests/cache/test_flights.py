"""
Many callers of one cold key: threads, tasks of one loop or of many, or all of them.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import cached
from yokedcache.runtime.flights import Terminal

if TYPE_CHECKING:
    from yokedcache import YokedCache


@pytest.mark.parametrize("number", [1, 500])
def test_threads_on_a_cold_key_run_the_function_once(
    cache: YokedCache, number: int
) -> None:
    runs: list[int] = []
    ready = threading.Barrier(number + 1)

    @cached(cache=cache)
    def load() -> int:
        runs.append(1)
        return 7

    found: list[int] = []

    def call() -> None:
        ready.wait()
        found.append(load())

    threads = [threading.Thread(target=call) for _ in range(number)]
    for thread in threads:
        thread.start()
    ready.wait()
    for thread in threads:
        thread.join()
    assert found == [7] * number
    assert runs == [1]


async def test_tasks_on_a_cold_key_run_the_function_once(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache)
    async def load() -> list[int]:
        runs.append(1)
        await asyncio.sleep(0)
        return [7]

    found = await asyncio.gather(*(load() for _ in range(500)))
    assert found == [[7]] * 500
    assert len({id(item) for item in found}) == 500
    assert runs == [1]
    assert cache.stats().total.shared == 499


def test_tasks_of_many_loops_on_a_cold_key_run_the_function_once(
    cache: YokedCache,
) -> None:
    runs: list[int] = []
    ready = threading.Barrier(10)

    @cached(cache=cache)
    async def load() -> int:
        runs.append(1)
        for _ in range(20):
            await asyncio.sleep(0)
        return 7

    async def callers() -> list[int]:
        ready.wait()
        return await asyncio.gather(*(load() for _ in range(50)))

    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.extend(asyncio.run(callers())))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [7] * 500
    assert runs == [1]


async def test_threads_and_tasks_share_a_load_of_one_key(cache: YokedCache) -> None:
    runs: list[int] = []
    entered, leave = threading.Event(), threading.Event()

    def load() -> int:
        runs.append(1)
        entered.set()
        assert leave.wait(30)
        return 7

    leader = asyncio.create_task(asyncio.to_thread(cache.sync.get_or_set, "key", load))
    await asyncio.to_thread(entered.wait, 30)
    tasks = [asyncio.create_task(cache.get_or_set("key", load)) for _ in range(250)]
    threads = [
        asyncio.create_task(asyncio.to_thread(cache.sync.get_or_set, "key", load))
        for _ in range(4)
    ]
    await asyncio.sleep(0)
    leave.set()
    assert await leader == 7
    assert set(await asyncio.gather(*tasks, *threads)) == {7}
    assert runs == [1]


def test_who_looked_before_a_flight_landed_does_not_load_again(
    cache: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The second caller finds nothing, and boards when the first one's flight has landed.
    """
    runs: list[int] = []

    @cached(cache=cache)
    def load() -> int:
        runs.append(1)
        return 7

    board = Terminal.board

    def later(terminal: Terminal, *args: Any, **kwargs: Any) -> Any:
        if not runs:
            monkeypatch.setattr(Terminal, "board", board)
            assert load() == 7
        return board(terminal, *args, **kwargs)

    monkeypatch.setattr(Terminal, "board", later)
    assert load() == 7
    assert runs == [1]
    assert load.refresh() == 7
    assert runs == [1, 1]

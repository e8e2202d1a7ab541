"""
`@cached` on what it can't serve: arguments, results, functions and loads gone wrong.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import YokedCache, cached
from yokedcache.errors import (
    DeclarationError,
    DurationError,
    KeyArgumentError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class WithoutValue:
    """
    Told by where it lies, like a plain `object()`.
    """

    def __init__(self) -> None:
        self.inner = object()


@pytest.mark.parametrize(
    "argument",
    [object(), WithoutValue(), [object()], {"a": object()}, iter(())],
    ids=["object", "holder", "list", "dict", "iterator"],
)
async def test_arguments_without_a_key_are_refused(
    cache: YokedCache, argument: Any
) -> None:
    runs: list[int] = []

    @cached(cache=cache)
    def blocking(number: int, thing: Any) -> None:
        runs.append(number)

    @cached(cache=cache)
    async def waiting(number: int, thing: Any) -> None:
        runs.append(number)

    for _ in range(2):
        with pytest.raises(KeyArgumentError, match=r"thing.* can't be part of a key"):
            blocking(1, argument)
        with pytest.raises(KeyArgumentError, match=r"thing.* can't be part of a key"):
            await waiting(1, thing=argument)
    for ask in (blocking.peek, blocking.invalidate, blocking.key):
        with pytest.raises(KeyArgumentError):
            ask(1, argument)
    assert runs == []


def test_a_circle_is_no_key(cache: YokedCache) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(KeyArgumentError):
        cached(cache=cache)(lambda thing: None)(circle)


async def test_results_that_cannot_be_kept_are_given_counted_and_said_once(
    cache: YokedCache, said: pytest.LogCaptureFixture
) -> None:
    @cached(cache=cache)
    def blocking() -> Iterator[int]:
        return iter([1, 2])

    @cached(cache=cache)
    async def waiting() -> Any:
        return (number for number in (1, 2))

    for _ in range(3):
        assert list(blocking()) == [1, 2]
        assert list(await waiting()) == [1, 2]
    assert cache.stats().total.refusals == {"unstorable": 6}
    assert cache.stats().entries == 0
    lines = [record.getMessage() for record in said.records]
    assert len(lines) == 2
    assert "blocking is not cached" in lines[0]


@pytest.mark.parametrize(
    "thing", [1, None, "f", int, object()], ids=["int", "None", "str", "type", "object"]
)
def test_only_functions_are_decorated(cache: YokedCache, thing: Any) -> None:
    if thing is None:  # `@cached(None)` reads like `@cached()`
        return
    with pytest.raises(DeclarationError):
        cached(thing)
    with pytest.raises(DeclarationError):
        cached(cache=cache)(thing)


async def test_a_loader_that_raises(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache)
    async def load() -> int:
        runs.append(1)
        await asyncio.sleep(0)
        if len(runs) < 3:
            raise LookupError(len(runs))
        return len(runs)

    with pytest.raises(LookupError):
        await load()
    found = await asyncio.gather(*(load() for _ in range(20)), return_exceptions=True)
    errors = [item for item in found if isinstance(item, LookupError)]
    # a leader's exception is its own: whoever waited loads, one after the other
    assert len(errors) == 1
    assert [item for item in found if item not in errors] == [3] * 19
    assert len(runs) == 3


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, GeneratorExit])
async def test_a_loader_that_raises_what_generators_mean(
    cache: YokedCache, error: type[BaseException]
) -> None:
    @cached(cache=cache)
    def load() -> int:
        raise error

    for _ in range(2):
        with pytest.raises((error, RuntimeError)):
            load()
    assert cache.stats().entries == 0


async def test_a_leader_that_is_cancelled_hands_over(cache: YokedCache) -> None:
    runs: list[int] = []
    entered = asyncio.Event()

    @cached(cache=cache)
    async def load() -> int:
        runs.append(1)
        if len(runs) == 1:
            entered.set()
            await asyncio.Event().wait()
        return 7

    leader = asyncio.create_task(load())
    await entered.wait()
    waiters = [asyncio.create_task(load()) for _ in range(20)]
    await asyncio.sleep(0)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert await asyncio.gather(*waiters) == [7] * 20
    assert len(runs) == 2


async def test_a_waiter_that_is_cancelled_leaves_the_others(cache: YokedCache) -> None:
    go_on = asyncio.Event()
    runs: list[int] = []

    @cached(cache=cache)
    async def load() -> int:
        runs.append(1)
        await go_on.wait()
        return 7

    callers = [asyncio.create_task(load()) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    callers[2].cancel()
    go_on.set()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(found.pop(2), asyncio.CancelledError)
    assert found == [7] * 4
    assert runs == [1]


async def test_a_loader_that_never_returns_keeps_nobody_for_long() -> None:
    cache = YokedCache(flight_timeout="10ms")
    runs: list[int] = []
    entered = asyncio.Event()

    @cached(cache=cache)
    async def load() -> int:
        runs.append(1)
        if len(runs) == 1:
            entered.set()
            await asyncio.Event().wait()
        return 7

    stuck = asyncio.create_task(load())
    await entered.wait()
    assert await load() == 7
    assert await load() == 7
    assert len(runs) == 2
    stuck.cancel()
    await cache.close()


def test_a_blocking_loader_that_never_returns_keeps_nobody_for_long() -> None:
    cache = YokedCache(flight_timeout="10ms")
    runs: list[int] = []
    entered, leave = threading.Event(), threading.Event()

    @cached(cache=cache)
    def load() -> int:
        runs.append(1)
        if len(runs) == 1:
            entered.set()
            assert leave.wait(30)
        return 7

    stuck = threading.Thread(target=load)
    stuck.start()
    assert entered.wait(30)
    try:
        assert load() == 7
    finally:
        leave.set()
        stuck.join()
    assert len(runs) == 2
    cache.sync.close()


async def test_a_function_may_call_itself_and_others_in_a_circle(
    cache: YokedCache,
) -> None:
    @cached(cache=cache)
    def fibonacci(number: int) -> int:
        if number < 2:
            return number
        return fibonacci(number - 1) + fibonacci(number - 2)

    @cached(cache=cache)
    async def ping(depth: int) -> int:
        return await pong(depth)

    @cached(cache=cache)
    async def pong(depth: int) -> int:
        depths.append(depth)
        return await ping(depth) if len(depths) < 3 else 0

    depths: list[int] = []
    assert fibonacci(30) == 832040
    assert await asyncio.gather(ping(1), pong(1)) == [0, 0]


def test_a_blocking_function_on_the_loops_thread_never_waits_for_the_loop(
    cache: YokedCache,
) -> None:
    async def load() -> int:
        await asyncio.sleep(0)
        return 1

    async def run() -> tuple[int, int]:
        leader = asyncio.create_task(cache.get_or_set("key", load))
        await asyncio.sleep(0)
        return cache.sync.get_or_set("key", lambda: 2), await leader

    assert asyncio.run(run()) == (2, 1)


BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"ttl": -1}, DurationError, "ttl"),
    ({"ttl": 0}, DurationError, "ttl"),
    ({"ttl": "soon"}, DurationError, "ttl"),
    ({"stale": -1}, DurationError, "stale"),
    ({"stale_on_error": -1}, DurationError, "stale_on_error"),
    ({"errors": {LookupError: -1}}, DurationError, "LookupError"),
    ({"errors": {"LookupError": 1}}, DeclarationError, "exception classes"),
    ({"errors": {KeyboardInterrupt: 1}}, DeclarationError, "exception classes"),
    ({"early": -1}, UsageError, "early"),
    ({"early": 1000}, UsageError, "early"),
    ({"early": "yes"}, UsageError, "early"),
    ({"tags": "users"}, UsageError, "users"),
    ({"tags": ["user:{id}"]}, DeclarationError, "'id'"),
    ({"tags": ["user:{"]}, DeclarationError, "can't be read"),
    ({"key": "{missing}"}, DeclarationError, "missing"),
    ({"time_to_live": 5}, DeclarationError, "time_to_live"),
]


@pytest.mark.parametrize(("options", "error", "words"), BAD_OPTIONS, ids=repr)
def test_options_that_cannot_be_meant(
    cache: YokedCache, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        cached(cache=cache, **options)(lambda number: number)

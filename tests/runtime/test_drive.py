"""
The drivers: answers and exceptions of every kind go back into the plan.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from yokedcache.core.operations import Load, Op, Plan, Store
from yokedcache.runtime.drive import Journey, run, run_async, switching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Host:
    """
    Does a load by calling, or by awaiting, what it was given.
    """

    def __init__(self, load: Callable[[], Any], *, waits: bool) -> None:
        self.load = load
        self.waits = waits
        self.done: list[type[Op[Any]]] = []

    def perform(self, op: Op[Any]) -> Any:
        self.done.append(type(op))
        return self.load() if type(op) is Load else None

    def begin(self, op: Op[Any]) -> Awaitable[Any] | None:
        if not self.waits or type(op) is not Load:
            return None
        self.done.append(Load)

        async def later() -> Any:
            await asyncio.sleep(0)
            return self.load()

        return later()


def plan() -> Plan[Any]:
    try:
        return (yield from Load())
    finally:
        yield from Store("k", None)  # type: ignore[arg-type] - the host doesn't look


async def drive(host: Host, face: str) -> Any:
    if face == "blocking":
        return run(plan(), host.perform)
    if face == "greenlet":
        return await greenlet_spawn(run, plan(), switching(host, await_only))
    return await run_async(plan(), host)


faces = pytest.mark.parametrize(
    ("face", "waits"),
    [
        ("blocking", False),
        ("async", False),
        ("async", True),
        ("greenlet", False),
        ("greenlet", True),
    ],
)


@faces
async def test_the_plan_gets_the_answer(face: str, waits: bool) -> None:
    host = Host(lambda: 42, waits=waits)
    assert await drive(host, face) == 42
    assert host.done == [Load, Store]


@faces
@pytest.mark.parametrize(
    "error", [LookupError, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]
)
async def test_whatever_is_raised_the_plan_cleans_up(
    face: str, waits: bool, error: type[BaseException]
) -> None:
    def load() -> None:
        raise error

    host = Host(load, waits=waits)
    with pytest.raises(error):
        # inside a task of its own, an interrupt would end the loop
        await drive(host, face)
    assert host.done == [Load, Store]


@pytest.mark.parametrize("face", ["blocking", "async"])
async def test_stop_iteration_is_an_error_and_not_an_answer(face: str) -> None:
    def load() -> None:
        raise StopIteration(42)

    host = Host(load, waits=False)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await drive(host, face)
    assert host.done == [Load, Store]


async def test_a_cancelled_task_cleans_up() -> None:
    host = Host(lambda: 42, waits=True)
    task = asyncio.create_task(drive(host, "async"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert host.done == [Load, Store]


def test_a_coroutine_that_is_thrown_away_cleans_up() -> None:
    class Never:
        def __await__(self) -> Any:
            yield

    host = Host(lambda: 42, waits=True)
    host.begin = lambda op: Never() if type(op) is Load else None  # type: ignore[method-assign,assignment]
    coroutine = drive(host, "async")
    coroutine.send(None)
    coroutine.close()
    assert host.done == [Store]


class TestJourney:
    @staticmethod
    def begun() -> tuple[Journey[Any], list[type[Op[Any]]]]:
        host = Host(lambda: None, waits=False)
        journey = Journey(plan(), host.perform, frozenset({Load}))
        journey.go_on()
        return journey, host.done

    def test_it_stops_where_it_is_told_and_goes_on_with_an_answer(self) -> None:
        journey, done = self.begun()
        assert isinstance(journey.at, Load)
        assert done == []
        journey.go_on(7)
        assert (journey.at, journey.result) == (None, 7)
        assert done == [Store]

    def test_an_error_comes_out_when_all_is_cleaned_up(self) -> None:
        journey, done = self.begun()
        with pytest.raises(KeyboardInterrupt):
            journey.fail(KeyboardInterrupt())
        assert (journey.at, journey.result) == (None, None)
        assert done == [Store]

    def test_what_an_operation_raises_goes_into_the_plan(self) -> None:
        host = Host(lambda: 1 // 0, waits=False)
        journey = Journey(plan(), host.perform, frozenset())
        with pytest.raises(ZeroDivisionError):
            journey.go_on()
        assert host.done == [Load, Store]

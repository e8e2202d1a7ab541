"""
The drivers: run a plan by doing what it asks.

A result, or any `BaseException`, goes back into the plan; a plan is never
closed, since it may have clean-up to yield.

`run` is the thread driver and `run_async` the event loop's. The greenlet driver is
`run` with operations that switch to the loop while they wait (`switching`). A plan
in the middle of which its caller goes on by itself is a `Journey`, in a thread or
in a greenlet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from yokedcache.core.operations import Op, Plan

T = TypeVar("T")


class AsyncHost(Protocol):
    """
    Does operations: `perform` at once, or `begin` for those that wait.
    """

    def perform(self, op: Op[Any]) -> Any:
        """
        Do an operation at once.
        """

    def begin(self, op: Op[Any]) -> Awaitable[Any] | None:
        """
        Begin an operation that waits; `None` for the others.
        """


def run(plan: Plan[T], perform: Callable[[Op[Any]], Any]) -> T:
    """
    Run a plan to its end in the calling thread.
    """
    try:
        op = next(plan)
        while True:
            try:
                answer = perform(op)
            except BaseException as error:  # noqa: BLE001 - the plan decides
                op = plan.throw(error)
            else:
                op = plan.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def run_async(plan: Plan[T], host: AsyncHost) -> T:
    """
    Run a plan to its end in the running event loop.
    """
    try:
        op = next(plan)
        while True:
            try:
                waiting = host.begin(op)
                answer = host.perform(op) if waiting is None else await waiting
            except BaseException as error:  # noqa: BLE001 - the plan decides
                op = plan.throw(error)
            else:
                op = plan.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def switching(
    host: AsyncHost, switch: Callable[[Awaitable[Any]], Any]
) -> Callable[[Op[Any]], Any]:
    """
    Do operations in a greenlet: `switch` has the loop wait, and gives what came of it.
    """

    def perform(op: Op[Any]) -> Any:
        waiting = host.begin(op)
        return host.perform(op) if waiting is None else switch(waiting)

    return perform


class Journey(Generic[T]):
    """
    A plan that stops at some operations, for the caller to do them in its own time.
    """

    __slots__ = ("_perform", "_plan", "_stops", "at", "result")

    def __init__(
        self,
        plan: Plan[T],
        perform: Callable[[Op[Any]], Any],
        stops: frozenset[type[Op[Any]]],
    ) -> None:
        self._plan = plan
        self._perform = perform
        self._stops = stops
        self.at: Op[Any] | None = None
        """Where it stopped; `None` once it has ended."""
        self.result: T | None = None

    def go_on(self, answer: Any = None) -> None:
        """
        Answer the operation that it stopped at (or set out), and follow it to the next.
        """
        self._follow(self._plan.send, answer)

    def fail(self, error: BaseException) -> None:
        """
        Throw an error in where it stopped; it comes out again once all is cleaned up.
        """
        self._follow(self._plan.throw, error)

    def _follow(self, step: Callable[[Any], Op[Any]], given: Any) -> None:
        self.at = None
        try:
            op = step(given)
            while type(op) not in self._stops:
                try:
                    answer = self._perform(op)
                except BaseException as error:  # noqa: BLE001 - the plan decides
                    op = self._plan.throw(error)
                else:
                    op = self._plan.send(answer)
        except StopIteration as stop:
            self.result = stop.value
        else:
            self.at = op

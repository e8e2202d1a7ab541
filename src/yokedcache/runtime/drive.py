"""
The drivers: run a plan by doing what it asks.

A result, or any `BaseException`, goes back into the plan; a plan is never
closed, since it may have clean-up to yield. The blocking driver also serves
SQLAlchemy's greenlets, whose waiting happens inside the operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

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

"""
Operations on their way.

Over a connection that stays that takes no task of the loop's; over one as redis-py has it,
it takes the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from yokedcache.stores.redis.faults import refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from yokedcache.stores.redis.lasting import Lasting
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.wire import Request, Steps

    Over: TypeAlias = Callable[["Trip", list[Any] | Exception], None]


class Trip:
    """
    Some operations, done together; `over` is told their results, or what went wrong.
    """

    __slots__ = ("_over", "_steps", "dropped", "line", "operations")

    def __init__(
        self,
        line: Lasting,
        operations: list[Operation[Any]],
        steps: Steps[list[Any]],
        over: Over,
    ) -> None:
        self.line = line
        self.operations = operations
        self.dropped = False
        """Nobody waits for it any more: nothing else is sent."""
        self._steps = steps
        self._over = over

    def begin(self, seconds: float) -> None:
        """
        Send what they ask first; all that they ask takes so many seconds at most.
        """
        self._go_on(None, seconds)

    def _answered(self, outcome: list[Any] | Exception) -> None:
        if isinstance(outcome, Exception):
            self._over(self, outcome)
        elif self.dropped:
            self._steps.close()
            self._over(self, [])
        else:
            self._go_on(outcome, self.line.left)

    def _go_on(self, answers: Any, seconds: float) -> None:
        try:
            request = self._steps.send(answers)
            self.line.ask(request, seconds, self._answered)
        except StopIteration as stop:
            self._over(self, stop.value)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self._over(self, error)


async def taken(connection: Any, steps: Steps[list[Any]]) -> list[Any]:
    """
    Ask what steps ask for, one after the other; give what they end with.
    """
    try:
        request = next(steps)
        while True:
            request = steps.send(await _ask(connection, request))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def _ask(connection: Any, request: Request) -> list[Any]:
    await connection.send_packed_command([request.packed])
    answers: list[Any] = []
    for _ in range(request.count):
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(refusal(error))
    return answers

"""
Operations on their way over a lasting connection, which takes no task of the loop's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from yokedcache.stores.redis.lasting import Lasting
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.wire import Steps

    Over: TypeAlias = Callable[["Trip", list[Any] | Exception], None]


class Trip:
    """
    Some operations, done together; `over` is told their results, or what went wrong.
    """

    __slots__ = ("_over", "_steps", "line", "operations")

    def __init__(
        self,
        line: Lasting,
        operations: list[Operation[Any]],
        steps: Steps[list[Any]],
        over: Over,
    ) -> None:
        self.line = line
        self.operations = operations
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
        else:
            self._go_on(outcome, self.line.left)

    def _go_on(self, answers: Any, seconds: float) -> None:
        try:
            request = self._steps.send(answers)
        except StopIteration as stop:
            self._over(self, stop.value)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self._over(self, error)
        else:
            self.line.ask(request, seconds, self._answered)

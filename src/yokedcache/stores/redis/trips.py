"""
Look-ups on their way over a lasting connection, which takes no task of the loop's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from yokedcache.stores.redis.folding import folded
from yokedcache.stores.redis.incarnation import TRUSTED
from yokedcache.stores.redis.sync import INFO_REPLICATION
from yokedcache.stores.redis.wire import Request, fine

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.lasting import Lasting
    from yokedcache.stores.redis.operations import Operation

    Over: TypeAlias = Callable[["Trip", list[Any] | Exception], None]


class Trip:
    """
    Some look-ups, asked in one go; `over` is told their results, or what went wrong.
    """

    __slots__ = (
        "_began",
        "_looks",
        "_over",
        "_seconds",
        "_steps",
        "line",
        "operations",
    )

    def __init__(
        self,
        line: Lasting,
        operations: list[Operation[Any]],
        seconds: float,
        over: Over,
    ) -> None:
        self.line = line
        self.operations = operations
        self._began = time.monotonic()
        self._seconds = seconds
        link = self._link
        # whom the connection leads to is learnt anew in one go with what is asked
        self._looks = self._began - link.looked_at >= TRUSTED
        self._over = over
        self._steps = folded(operations, link)

    def begin(self) -> None:
        """
        Send them.
        """
        request = next(self._steps)
        if self._looks:
            packed = INFO_REPLICATION + request.packed
            request = Request(packed, request.count + 1)
        self.line.ask(request, self._seconds, self._answered)

    @property
    def _link(self) -> Link:
        link: Link = self.line.connection.yokedcache
        return link

    def _answered(self, outcome: list[Any] | Exception) -> None:
        try:
            request = self._steps.send(self._taken(outcome))
        except StopIteration as stop:
            self._over(self, stop.value)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self._over(self, error)
        else:
            self.line.ask(request, self.line.left, self._answered)

    def _taken(self, outcome: list[Any] | Exception) -> list[Any]:
        """
        Give the answers, without that of whom the connection leads to.
        """
        if isinstance(outcome, Exception):
            raise outcome
        if self._looks:
            self._looks, link = False, self._link
            link.server = link.server.renewed(fine(outcome.pop(0)))
            link.looked_at = self._began
        return outcome

"""
Time limits in threads, over all that is waited for in an exchange with a server.

A client library limits each wait: a server that answers byte by byte is waited for as
often as there are bytes. Here a thread has one limit for them all, connecting included.

A thread that isn't given its processor comes round late, and the answer lies there by
then: that hardly counts (as `patience` has it for event loops).
"""

from __future__ import annotations

import threading
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

PARTS: Final = 10
"""The time by which a thread is late counts as one of so many parts of its limit."""

_LATE: Final = 1.2
"""Times what is left is more than any wait takes: the thread wasn't given its turn."""


class within:  # noqa: N801 - as `patience.within`
    """
    Let the calling thread wait for so many seconds, and no longer than it might before.
    """

    __slots__ = ("looked", "outer", "part", "remains")

    def __init__(self, seconds: float) -> None:
        self.remains = seconds
        self.part = seconds / PARTS
        self.looked = 0.0
        self.outer: within | None = None

    def __enter__(self) -> Self:
        outer = _threads.limit
        if outer is not _ENDLESS:
            self.remains = min(self.remains, outer.left())
        self.outer = outer
        self.looked = monotonic()
        _threads.limit = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _threads.limit = self.outer or _ENDLESS

    def left(self) -> float:
        """
        Tell how long may be waited, just before that is done.

        Raises:
            TimeoutError: no longer.
        """
        now = monotonic()
        passed, remains = now - self.looked, self.remains
        self.looked = now
        remains -= passed if passed < _LATE * remains else self.part
        self.remains = remains
        if remains <= 0.0:
            raise TimeoutError
        return remains


_ENDLESS: Final = within(inf)


class _Threads(threading.local):
    limit = _ENDLESS


_threads: Final = _Threads()


def limit() -> within:
    """
    Give the limit of the calling thread.
    """
    return _threads.limit


def wait_for(held: Any) -> bool:
    """
    Acquire a lock, or one of a semaphore's places, within the limit; tell if that was done.
    """
    left = limit().left()
    done: bool = held.acquire(timeout=-1 if left == inf else left)
    return done

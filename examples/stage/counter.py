"""
Counts the statements that reach the database, and times what sends them.
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Engine


LEAST = 15
"""Calls that a median needs."""

TURN = 5
"""Calls of one way before it is the other's turn."""


class Statements:
    """
    How many statements were sent over some engines.
    """

    def __init__(self, *engines: Engine) -> None:
        self.sent = 0
        self._lock = threading.Lock()
        for engine in engines:
            event.listen(engine, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        with self._lock:
            self.sent += 1

    def during(self, call: Callable[[], Any]) -> tuple[Any, int]:
        """
        Give what a call gives, and how many statements it sent.
        """
        before = self.sent
        answer = call()
        return answer, self.sent - before


class Timing(NamedTuple):
    """
    One way to ask for something, measured.
    """

    answer: Any
    seconds: float
    """The median."""
    best: float
    """The fastest call: what a busy machine disturbs least."""
    statements: int


def measure(
    ways: Sequence[Callable[[], Any]], statements: Statements, *, budget: float
) -> list[Timing]:
    """
    Ask in each way by turns for `budget` seconds: medians, and the last call's count.

    By turns, so that a machine that is busy for a while slows all ways alike.
    """
    times: list[list[float]] = [[] for _ in ways]
    last: list[tuple[Any, int]] = [(None, 0) for _ in ways]
    end = time.perf_counter() + budget
    while len(times[0]) < LEAST or time.perf_counter() < end:
        for index, ask in enumerate(ways):
            for _ in range(TURN):
                before = statements.sent
                began = time.perf_counter()
                answer = ask()
                times[index].append(time.perf_counter() - began)
                last[index] = (answer, statements.sent - before)
    return [
        Timing(answer, statistics.median(taken), min(taken), sent)
        for taken, (answer, sent) in zip(times, last, strict=True)
    ]

"""
What a contender is: a write and some ways to read, for threads or for tasks.

A contender is a module of `contenders`, with a function `threads` that gives `Acts`
for many threads, or `tasks` that gives them for many tasks of one event loop, or
both; each is a (sync, async) context manager, entered once a process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class Loads:
    """
    Counts the SELECTs that a process has sent; threads may share it.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._own: ContextVar[list[int]] = ContextVar("own")

    def add(self) -> None:
        next(self._numbers)
        if own := self._own.get(None):
            own[0] += 1

    def own(self) -> list[int]:
        """
        Give a list that will hold how many the calling thread or task has sent.
        """
        counted = [0]
        self._own.set(counted)
        return counted

    def total(self) -> int:
        """
        Give the sum; once, at the end.
        """
        return next(self._numbers)


class LookUps:
    """
    Counts what a process has asked its store for, where answers near by ask for nothing.
    """

    def __init__(self) -> None:
        self.count: int | None = None
        """Nothing where they aren't counted. Threads may lose one; it grows all the same."""

    def add(self) -> None:
        self.count = (self.count or 0) + 1

    def none_since(self, count: int | None) -> bool:
        """
        Tell whether none was made since there were so many.
        """
        return count is not None and count == self.count


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where the rows are, where a cache may keep its entries, and who counts.
    """

    database: str
    """A URL for SQLAlchemy, of a driver that knows threads and tasks."""
    store: str
    """The URL of a Redis."""
    loads: Loads = field(default_factory=Loads)
    look_ups: LookUps = field(default_factory=LookUps)


@dataclass(frozen=True, slots=True)
class Acts(Generic[T]):
    """
    What may be done with a row, by its number.
    """

    write: Callable[[int], T]
    """
    Raises the row's value by one, and returns the new one when all is done that an
    application would do after its commit.
    """
    reads: Mapping[str, Callable[[int], T]]
    """Ways to read the row's value, by name."""
    refusals: tuple[type[Exception], ...] = ()
    """By which a write says that nothing was sent."""
    signs: Callable[[], Mapping[str, int]] = dict
    """Gives what the contender counted, at the end: see `signs`."""


Blocking = Acts[int]
"""For threads."""

Awaiting = Acts[Awaitable[int]]
"""For tasks."""

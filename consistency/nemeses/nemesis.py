"""
What a nemesis is: something that goes wrong again and again while processes play.

Each is a class in a file of its own, and a line in `__init__`. One that breaks another
kind of store than a single server (a failover by Sentinel, a primary of a Cluster that
dies) gives that in `store`, with its URL, and is otherwise like the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from consistency.events import now
from consistency.signs import FAILURES
from tests.services.redis import RedisServer, Variant

if TYPE_CHECKING:
    import random
    import threading
    from collections.abc import Iterator, Mapping

    from consistency.crew import Crew, Member
    from tests.services.proxy import Proxy

Reach = Literal["nobody", "one", "all"]


@dataclass(frozen=True, slots=True)
class Strike:
    """
    One time that it acted: from when until when something was wrong, and for whom.
    """

    began: int
    ended: int
    victim: int | None = None
    """The number of the process, if there was one alone."""
    back: int | None = None
    """When the store was there again, if that was before all was as it had been."""

    @property
    def mended(self) -> int:
        """
        Since when the store could be used again.
        """
        return self.ended if self.back is None else self.back


@dataclass(frozen=True, slots=True)
class Ground:
    """
    What a nemesis has before it.
    """

    redis: Any
    """What the nemesis gave as `store`."""
    proxies: Mapping[int, Proxy]
    """What stands before the server, by process; nothing unless `proxied` says so."""
    crew: Crew
    dice: random.Random
    over: threading.Event
    """Set when the run is to end."""

    def writers(self) -> list[Member]:
        """
        Give the processes that write and are at work.
        """
        members = self.crew.members
        return [one for one in members if one.part.writes and one.living]


class Nemesis(ABC):
    """
    One kind of fault.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reach: ClassVar[Reach] = "all"
    """Whom it keeps from the store while the others still reach it."""
    variant: ClassVar[Variant] = Variant()
    """How the server is set up."""
    proxied: ClassVar[bool] = False
    """Each process reaches the server through a proxy of its own."""
    near: ClassVar[float] = 0.0
    """For how many seconds processes give an answer out again without asking."""
    lengths: ClassVar[tuple[float, ...]] = ()
    """How many seconds it lasts: one of these, the first time the longest."""
    shows: ClassVar[tuple[str, ...]] = (FAILURES,)
    """What of `signs` there must be, or it wasn't a fault."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.seen: Counter[str] = Counter()
        """What it saw of that itself."""
        self.back: int | None = None
        """When the store was there again, in the strike that goes on."""
        self._lengths: list[float] = []
        self._began = False

    @classmethod
    @contextmanager
    def store(cls) -> Iterator[Any]:
        """
        Give the store that the processes share, with its `url`.
        """
        with RedisServer.running(variant=cls.variant) as server:
            yield server

    def gather(self) -> None:  # noqa: B027 - most need nothing
        """
        Get what it will need, before anybody begins.
        """

    def look(self) -> None:  # noqa: B027 - most have nothing to see
        """
        See at the server what came of it, at the end.
        """

    def prepare(self) -> None:  # noqa: B027 - most have nothing to do
        """
        Do what has to be done before it can act.
        """

    @abstractmethod
    def act(self) -> int | None:
        """
        Break something and mend it; return the victim, if it was one process alone.
        """

    def strike(self) -> Strike:
        """
        Act once.
        """
        self.prepare()
        began = now()
        self.back = None
        victim = self.act()
        return Strike(began, now(), victim, self.back)

    def last(self) -> None:
        """
        Leave things broken for a while; not longer than the run.
        """
        self.ground.over.wait(self._length())

    def _length(self) -> float:
        """
        Give each of the lengths once, in whatever order, and so on.

        A short run has the longest, which everybody notices, and then the others.
        """
        if not self._lengths:
            self._lengths = self.ground.dice.sample(self.lengths, len(self.lengths))
            if not self._began:
                self._lengths.sort()
                self._began = True
        return self._lengths.pop()


def errors(told: dict[str, str], kind: str) -> int:
    """
    Read how often a server answered with an error of a kind.
    """
    # `count=3`, if there were any
    return int(told.get(f"errorstat_{kind}", "=0").partition("=")[2])

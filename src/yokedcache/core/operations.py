"""
What a plan may ask its driver to do.

A plan is a generator that yields operations and is sent their results. Each
operation carries the type of its result, so that `found = yield from Fetch(key)`
is a `Found` to the type checker. Drivers dispatch by the operation's class.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from yokedcache.core.entry import Entry
    from yokedcache.core.flights import Flight, Seat
    from yokedcache.core.freshness import Verdict
    from yokedcache.core.tags import Fence, Stamp, Vector

R = TypeVar("R")
T = TypeVar("T")

Plan = Generator["Op[Any]", Any, T]
"""A decision in steps: yields operations, is sent their results, returns a `T`."""


class Op(Generic[R]):
    """
    An operation whose result is an `R`.
    """

    __slots__ = ()

    def __iter__(self) -> Generator[Op[R], R, R]:
        return (yield self)


class Found:
    """
    What a look-up met, and how it was judged.
    """

    __slots__ = ("entry", "verdict")

    def __init__(self, entry: Entry | None, verdict: Verdict) -> None:
        self.entry = entry
        self.verdict = verdict


class Loaded:
    """
    What a load gave: a value or the exception it raised, and what it cost.
    """

    __slots__ = ("cost", "error", "value")

    def __init__(
        self, value: Any = None, error: Exception | None = None, cost: float = 0.0
    ) -> None:
        self.value = value
        self.error = error
        self.cost = cost


class Sealed:
    """
    A loaded value made into an entry, or why it can't be one.

    `private` says that nobody but its own caller may have it; `refused` says
    why it may not be stored, though those who came in time may share it. `guard`
    is the version of the key itself: once that is removed, later comers don't
    share what was read before.
    """

    __slots__ = ("entry", "guard", "private", "refused")

    def __init__(
        self,
        entry: Entry | None,
        *,
        refused: str | None = None,
        private: bool = False,
        guard: Vector = (),
    ) -> None:
        self.entry = entry
        self.guard = guard
        self.refused = refused
        self.private = private


class _Keyed(Op[R]):
    __slots__ = ("key",)

    def __init__(self, key: Hashable) -> None:
        self.key = key


class Fetch(_Keyed[Found]):
    """
    Look an entry up and judge it.
    """

    __slots__ = ()


class Board(_Keyed["Seat"]):
    """
    Ask for a seat on the flight of a key: lead it, wait for it, or go alone.
    """

    __slots__ = ()


class Await(Op["Sealed | None"]):
    """
    Wait until a flight lands; `None` when it failed or took too long.
    """

    __slots__ = ("flight",)

    def __init__(self, flight: Flight) -> None:
        self.flight = flight


class TakeStamp(Op["Stamp"]):
    """
    Take the versions of tags, before the data is read.
    """

    __slots__ = ("names", "seat")

    def __init__(self, names: tuple[str, ...], seat: Seat | None = None) -> None:
        self.names = names
        self.seat = seat


class Load(Op[Loaded]):
    """
    Run the caller's own function or statement.
    """

    __slots__ = ()


class Seal(Op[Sealed]):
    """
    Make an entry of what was loaded under a stamp.
    """

    __slots__ = ("loaded", "stamp")

    def __init__(self, loaded: Loaded, stamp: Stamp) -> None:
        self.loaded = loaded
        self.stamp = stamp


class Store(_Keyed["str | None"]):
    """
    Store an entry if its vector still holds, else say why it was not.
    """

    __slots__ = ("entry",)

    def __init__(self, key: Hashable, entry: Entry) -> None:
        super().__init__(key)
        self.entry = entry


class Land(Op[None]):
    """
    End a flight that this plan led, and hand its result to those who wait.
    """

    __slots__ = ("sealed", "seat")

    def __init__(self, seat: Seat, sealed: Sealed | None) -> None:
        self.seat = seat
        self.sealed = sealed


class Refresh(_Keyed[bool]):
    """
    Have the entry renewed in the background; false if only the caller can.
    """

    __slots__ = ("seat", "tags")

    def __init__(self, key: Hashable, tags: tuple[str, ...], seat: Seat) -> None:
        super().__init__(key)
        self.tags = tags
        self.seat = seat


class PutFence(Op["Fence"]):
    """
    Bump tags and fence them: a commit is about to be sent.
    """

    __slots__ = ("names",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names


class Commit(Op[Any]):
    """
    Send the commit.
    """

    __slots__ = ()


class LiftFence(Op[None]):
    """
    Bump the fence's tags and take it down.
    """

    __slots__ = ("fence",)

    def __init__(self, fence: Fence) -> None:
        self.fence = fence


class HoldFence(Op[None]):
    """
    Leave a fence up until what was prepared under it is committed or rolled back.
    """

    __slots__ = ("fence",)

    def __init__(self, fence: Fence) -> None:
        self.fence = fence


class KeepFence(Op[None]):
    """
    Leave a fence up until it is known how its commit ended.
    """

    __slots__ = ("fence",)

    def __init__(self, fence: Fence) -> None:
        self.fence = fence

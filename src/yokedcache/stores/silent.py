"""
Conversations with a store that answers at once, because it is in this memory.

What takes asking where processes share a store is written as conversations: generators
that yield operations and are sent what came of them. These never yield.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterable, Mapping
    from typing import TypeAlias, TypeVar

    from yokedcache.core.entry import Entry, Tally
    from yokedcache.core.tags import Stamp, Tag, Vector

    T = TypeVar("T")
    Asking: TypeAlias = Generator[Any, Any, T]


class Nobody:
    """
    Does the operations of a store that is asked nothing.
    """

    spent = False

    def here(self, op: Any) -> Any:
        """
        Do what is never asked for.
        """
        raise NotImplementedError(op)  # pragma: no cover - conversations are silent

    perform = begin = here

    def spend(self) -> None:
        """
        Wait for nothing, as ever.
        """


NOBODY: Final = Nobody()


class Silent:
    """
    The conversations of a memory store, which it holds with itself.

    `SharedStore` has its own.
    """

    shares = False
    """Other processes read and change what is kept, so it takes asking."""
    off: str | None = None
    """Why nothing is looked up or kept at all, where that is so."""
    unreadable = 0
    missed: Mapping[str, int] = MappingProxyType({})
    """What a shared store said of what it couldn't give, and how often."""
    near_for = 0.0
    """Seconds for which a shared entry may be given out without asking again."""
    unproven = math.inf
    """For whom an entry holds that was made just now: see `Entry.proven`."""

    @property
    def failures(self) -> int:
        """
        Tell how often a shared store failed.
        """
        return 0

    @property
    def lost(self) -> int:
        """
        Tell how often a shared store has lost tags, or all that it had.
        """
        return 0

    @property
    def state(self) -> str:
        """
        Tell how a shared store is used by now, if there is one.
        """
        return ""

    @property
    def owed(self) -> int:
        """
        Tell how many changes a shared store is still to be told.
        """
        return 0

    @property
    def announced_inside(self) -> int:
        """
        Tell how many commits announced themselves inside their own transactions.
        """
        return 0

    @property
    def near_by(self) -> str:
        """
        Tell by what answers near by end now: `heard` or `age`, if there are any.
        """
        return ""

    def use(self, identity: str) -> None:
        """
        Learn that the application uses a database: it matters where others may come.
        """

    def look(
        self: Any,
        key: Hashable,
        ticket: float,  # noqa: ARG002
        names: Iterable[str] = (),  # noqa: ARG002
        *,
        owner: Tally | None = None,  # noqa: ARG002
        copy: bool = True,  # noqa: ARG002
        near: bool = False,  # noqa: ARG002
    ) -> Asking[Entry | None]:
        """
        Look an entry up for a caller that drew a ticket when it began.

        Args:
            names: the tags that it is expected to have, as far as the caller knows.
            owner: whose hits it will have.
            copy: what is given out must be the caller's own.
            near: it may be as old as the settings say (`max_staleness`).
        """
        yield from ()
        found: Entry | None = self.fetch(key)
        return found

    def take(
        self: Any,
        names: Iterable[str],
        key: Hashable,  # noqa: ARG002
        *,
        late: bool = False,  # noqa: ARG002
    ) -> Asking[Stamp]:
        """
        Take the versions of tags, before what they stand for is read for a key.

        Args:
            late: other tags will turn up when that was read.
        """
        yield from ()
        stamp: Stamp = self.stamp(names)
        return stamp

    def keep(
        self: Any,
        key: Hashable,
        entry: Entry,
        guard: Vector = (),
        *,
        late: Iterable[Tag] = (),  # noqa: ARG002
        noted: bytes | None = None,  # noqa: ARG002
        given: Iterable[str] = (),  # noqa: ARG002
    ) -> Asking[str | None]:
        """
        Store an entry if its vector holds unfenced; else say why it was not.

        Args:
            guard: versions of this process that must hold, too.
            late: tags whose version wasn't known when they were read.
            noted: the shared store's counter before anything was read.
            given: tags that belong to this key alone, as its caller knows.
        """
        yield from ()
        refused: str | None = self.put(key, entry, guard)
        return refused

    def removing(self: Any, key: Hashable) -> Asking[bool]:
        """
        Drop the entry under a key; tell whether there was one that still held.
        """
        yield from ()
        return bool(self.remove(key))

    def replacing(self: Any, key: Hashable) -> Asking[None]:  # noqa: ARG002
        """
        Tell other processes that another answer is under a key now, or none: there are none.
        """
        yield from ()

    def renewing(
        self: Any,
        key: Hashable,  # noqa: ARG002
        entry: Entry,
        ttl: float,
    ) -> Asking[bool]:
        """
        Give an entry a new time to live from now, in seconds.
        """
        yield from ()
        return bool(self.renew(entry, ttl))

    def bumping(self: Any, names: Iterable[str]) -> Asking[None]:
        """
        Make everything that depends on one of the tags unservable.
        """
        yield from ()
        self.bump(names)

    def clearing(self: Any) -> Asking[None]:
        """
        Drop all entries.
        """
        yield from ()
        self.clear()

    def allowance(self) -> Any:
        """
        Give what does the operations of one call's conversations: a host for `drive`.
        """
        return NOBODY

    def close(self) -> None:
        """
        Let go of what is open: nothing.
        """

    async def close_async(self) -> None:
        """
        Let go of what is open in the running event loop: nothing.
        """

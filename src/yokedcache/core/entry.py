"""
What is stored under a key: never a bare value.

An entry knows its payload, when it was made and what making it cost, until when
it is fresh, until when it may be served stale, and the tag vector that it is
valid under. A miss is a typed sentinel; `None` is a value.

Times are readings of one monotonic clock, in seconds.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from yokedcache.core.tags import Vector


class Miss(enum.Enum):
    """
    The type of `MISS`.
    """

    MISS = "MISS"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "MISS"


MISS: Final = Miss.MISS
"""What a look-up gives when nothing usable is there."""


class Lifetime:
    """
    How long an answer may be served, in seconds after it was made.
    """

    __slots__ = ("early", "on_error", "stale", "ttl")

    def __init__(
        self, ttl: float, stale: float = 0.0, on_error: float = 0.0, early: float = 0.0
    ) -> None:
        self.ttl = ttl
        self.stale = stale
        self.on_error = on_error
        self.early = early


class Tally:
    """
    What became of one function's, statement shape's or key space's look-ups.

    Plain hits are counted on their entries, and added here when those leave.
    """

    __slots__ = (
        "bypasses",
        "cost",
        "hits",
        "loads",
        "name",
        "refusals",
        "saved",
        "shared",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.hits = 0
        self.saved = 0.0
        self.loads = 0
        self.cost = math.inf
        """Seconds that the last load took."""
        self.shared = 0
        self.refusals: dict[str, int] = {}
        self.bypasses: dict[str, int] = {}

    def retire(self, entry: Entry) -> None:
        """
        Take over the hits of an entry that leaves.
        """
        self.hits += entry.hits
        self.saved += entry.hits * entry.cost

    def refuse(self, reason: str) -> None:
        """
        Count a result that was not stored, by reason.
        """
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def bypass(self, reason: str) -> None:
        """
        Count a call that neither asked nor filled the cache, by reason.
        """
        self.bypasses[reason] = self.bypasses.get(reason, 0) + 1


class Entry:
    """
    One stored answer.

    `soft_until` is until when the answer is plainly fresh; after it `freshness.judge`
    decides. A plain hit compares one deadline alone, `plain_until`: the same, or where
    a store is shared, until when it may be given out without asking.
    """

    __slots__ = (
        "asked",
        "born",
        "careful",
        "copier",
        "cost",
        "error_until",
        "fresh_until",
        "given",
        "hits",
        "imprint",
        "key",
        "owner",
        "plain_until",
        "proven",
        "pulse",
        "question",
        "queue",
        "seen",
        "soft_until",
        "stale_until",
        "value",
        "vector",
        "weight",
    )

    def __init__(
        self,
        value: Any,
        *,
        copier: Callable[[Any], Any] | None,
        vector: Vector,
        born: float,
        cost: float,
        lifetime: Lifetime,
        weight: int,
    ) -> None:
        self.value = value
        self.copier: Callable[[Any], Any] | None = None
        if copier is None:
            self.given = value
            """The value as a reader is given it."""
        else:
            self.isolate(copier)
        self.vector = vector
        self.pulse: int | None = -1
        self.asked: float = -math.inf
        """When a shared store was asked last whether it holds, and said that it does."""
        self.proven: float = math.inf
        """Whoever drew a lower ticket began before it was last seen to hold, where
        that takes asking a store that processes share; see `core.flights`."""
        self.careful = False
        """More has to be asked than whether its vector holds, at each look-up."""
        self.imprint: object = None
        """What tells the bytes that it was read from, in a store that is shared."""
        self.question: Any = None
        """What asks that store whether they still are there, and hold."""
        self.born = born
        self.cost = cost
        self.fresh_until = born + lifetime.ttl
        self.soft_until = self.fresh_until - lifetime.early
        self.plain_until = self.soft_until
        self.stale_until = self.fresh_until + lifetime.stale
        self.error_until = self.fresh_until + max(lifetime.on_error, lifetime.stale)
        self.weight = weight
        self.hits = 0
        self.seen = 0
        self.key: Hashable = None
        self.owner: Tally | None = None
        self.queue = 0

    def isolate(self, copier: Callable[[Any], Any]) -> None:
        """
        Give each reader what is made of the value for him alone.
        """
        self.copier = copier
        # a class of its own, as to ask each entry would be a twentieth of a plain hit
        self.__class__ = _Isolated

    def read(self) -> Any:
        """
        Give the value, isolated from every other reader's.
        """
        copier = self.copier
        return self.value if copier is None else copier(self.value)

    @property
    def gone_at(self) -> float:
        """
        When no option can serve it any more.
        """
        return self.error_until


class _Isolated(Entry):
    """
    An entry that gives each reader a copy. Entries themselves are never copied or pickled.
    """

    __slots__ = ()
    given = property(Entry.read)

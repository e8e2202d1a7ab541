"""
What the operations of a shared store are about, and what they give back.

Every store answers in these; one may have its own of a kind, that does the same.
"""

from __future__ import annotations

import enum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from yokedcache.stores.versions import not_after, of_incarnation

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

R_co = TypeVar("R_co", covariant=True)

MOST_TAGS: Final = 256
"""Tags that one call takes: a store holds others up while it does it."""

BORN: Final = b"0"
"""The token of a fence that stands for those that may have been lost."""

TAG_BYTES: Final = 6
"""Two tags of one digest would only share their invalidations."""


class Times:
    """
    When an answer was made, and until when it is fresh and may be served stale.

    Seconds of the wall clock.
    """

    __slots__ = ("born", "fresh_until", "stale_until")

    def __init__(self, born: float, fresh_until: float, stale_until: float) -> None:
        self.born = born
        self.fresh_until = fresh_until
        self.stale_until = stale_until


class Vector:
    """
    The tag versions that an answer saw before its data was read.
    """

    __slots__ = ("digests", "versions")

    def __init__(self, digests: bytes, versions: list[bytes]) -> None:
        self.digests = digests
        self.versions = versions

    def not_after(self, note: bytes) -> bool:
        """
        Tell whether nothing in it is newer than a note of the counter (rule 6).
        """
        return all(not_after(version, note) for version in self.versions)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Vector)
            and self.digests == other.digests
            and self.versions == other.versions
        )

    def __hash__(self) -> int:
        return hash((self.digests, *self.versions))


class ListedFence:
    """
    A fence as a tag lists it: whose it is, and until when its writer vouches for it.

    `owner` is the writer's own text, which names the transaction of the database.
    """

    __slots__ = ("deadline", "owner", "token")

    def __init__(self, token: bytes, deadline: float, owner: str) -> None:
        self.token = token
        self.deadline = deadline
        self.owner = owner

    def __repr__(self) -> str:
        return f"<ListedFence {self.token!r} until {self.deadline} of {self.owner!r}>"


class TagState:
    """
    A tag as it stood when it was read: its version, and the fences that were up.

    Without a version it can't be relied on. `lost` says that the tag was not there,
    else there was something that isn't ours.
    """

    __slots__ = ("fences", "lost", "version")

    def __init__(
        self,
        version: bytes | None,
        fences: tuple[ListedFence, ...] = (),
        *,
        lost: bool = False,
    ) -> None:
        self.version = version
        self.fences = fences
        self.lost = lost

    @property
    def usable(self) -> bool:
        """
        Whether something may be served or stored on the tag.
        """
        return self.version is not None and not self.fences

    @property
    def orphaned(self) -> bool:
        """
        Whether all that stands on the tag is what was put there for lost fences.
        """
        return bool(self.fences) and all(f.token == BORN for f in self.fences)

    def __repr__(self) -> str:
        return f"<TagState {self.version!r} {list(self.fences)}>"


class TagSet:
    """
    Tags that are asked for together, by the digests that entries name them by.

    In the order of their digests, each once, so that two sets of the same tags are equal
    byte by byte.
    """

    __slots__ = ("count", "digests")

    def __init__(self, digests: bytes) -> None:
        self.digests = digests
        self.count = len(digests) // TAG_BYTES

    def digest(self, place: int) -> bytes:
        """
        Return the digest of the tag at a place.
        """
        return self.digests[place * TAG_BYTES : (place + 1) * TAG_BYTES]

    def each(self) -> list[bytes]:
        """
        Return the digests of all.
        """
        return [self.digest(place) for place in range(self.count)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TagSet) and self.digests == other.digests

    def __hash__(self) -> int:
        return hash(self.digests)


def digest_of(tag: str) -> bytes:
    """
    Return what stands for a tag in keys and entries.
    """
    return blake2b(tag.encode("utf-8", "surrogatepass"), digest_size=TAG_BYTES).digest()


class Stamp:
    """
    Tags as they stood at one moment, before what they stand for is read (rule 1).

    `mark` is of the incarnation that was asked, and `counter` the last version that had
    been given by then, where it was asked for.
    """

    __slots__ = ("_states", "counter", "made", "mark", "tags")

    def __init__(
        self,
        tags: TagSet,
        states: Sequence[TagState] | None,
        mark: bytes,
        counter: bytes | None = None,
        made: frozenset[int] = frozenset(),
    ) -> None:
        self.tags = tags
        self.mark = mark
        self.counter = counter
        self.made = made
        """The places of tags that were not there, and had to be made."""
        self._states = states

    @property
    def states(self) -> Sequence[TagState]:
        """
        Each tag's version and fences, in the order of `tags`.
        """
        return self._states or ()

    @property
    def unusable(self) -> str | None:
        """
        Name why nothing may be stored under it.
        """
        return next(filter(None, map(self._flaw, self.states)), None)

    @property
    def incomplete(self) -> bool:
        """
        Whether a tag has to be made, or is fenced by nobody: for `Commands.stamp`.
        """
        return any(
            state.orphaned or self._flaw(state) not in (None, "commit_in_flight")
            for state in self.states
        )

    @property
    def vector(self) -> Vector:
        """
        The versions alone.
        """
        versions = [state.version or b"" for state in self.states]
        return Vector(self.tags.digests, versions)

    def _flaw(self, state: TagState) -> str | None:
        if state.version is None:
            return "tag_lost" if state.lost else "tag_unknown"
        if not of_incarnation(state.version, self.mark):
            return "incarnation"
        return "commit_in_flight" if state.fences else None


class Same(enum.Enum):
    """
    The type of `SAME`.
    """

    SAME = "SAME"

    def __repr__(self) -> str:
        return "SAME"


SAME: Final = Same.SAME
"""What is found where an entry and its tags stand as they did."""


OVERSIZED: Final = "oversized"
"""The reason of a miss where more lies than any entry takes, which isn't read."""

UNREADABLE: Final = frozenset(
    {"foreign", OVERSIZED, "truncated", "corrupted", "other_layout"}
)
"""Reasons of a miss that say: something is there, and can't be read. They are counted."""


class Miss:
    """
    No entry that holds, why, and how the tags stood that were asked for.

    Reasons: `absent`; what can't be read (`UNREADABLE`): `foreign`, `oversized`,
    `truncated`, `corrupted`, `other_layout`; `incarnation`, stamped in another life of
    the store; and of the tags: `tag_lost`, `tag_unknown`, `commit_in_flight`, `changed`.
    """

    __slots__ = ("reason", "stamp")

    def __init__(self, reason: str, stamp: Stamp) -> None:
        self.reason = reason
        self.stamp = stamp


class RaisedFence:
    """
    A writer's own fence: what takes it down, and what vouches for it.
    """

    __slots__ = ("owner", "tags", "token", "version")

    def __init__(self, tags: TagSet, token: bytes, owner: str, version: bytes) -> None:
        self.tags = tags
        self.token = token
        self.owner = owner
        self.version = version


class Said(NamedTuple):
    """
    What announces a change inside the transaction that makes it.
    """

    sql: str
    """One statement, for the connection that will commit."""
    place: str
    """Names the store: where another one is found there, it is no use to ask again."""


class Followed:
    """
    What was announced since a position: versions, each with its tags.

    It is `None` where that can't be told any more, and `position` is one to begin anew
    from: all that is announced after the asking began will be told from there.
    """

    __slots__ = ("position", "told")

    def __init__(
        self, position: bytes, told: list[tuple[bytes, TagSet]] | None
    ) -> None:
        self.position = position
        self.told = told


class Lifted:
    """
    The version that a lift gave, and on how many tags its fence was missing.
    """

    __slots__ = ("missing", "version")

    def __init__(self, version: bytes, missing: int) -> None:
        self.version = version
        self.missing = missing


class Claim:
    """
    Whose a load is, by the token that was given, and what there is of it already.

    Without a holder nobody can have it.
    """

    __slots__ = ("found", "holder")

    def __init__(self, holder: bytes | None, found: Any) -> None:
        self.holder = holder
        self.found = found


class Operation(Generic[R_co]):
    """
    An operation whose result is an `R_co`, still to be done; stores add what does it.

    `asked` is what is said of it in errors. Those that are the `same` may be asked once
    for all who ask at the same time.
    """

    __slots__ = ("asked", "at", "same", "sent", "until")

    def __init__(self, asked: str, *, same: Hashable = None) -> None:
        self.asked = asked
        self.same = same
        self.at: float = 0.0
        """When it was made, on its maker's clock, where that matters."""
        self.sent: float = 0.0
        """Drawn just before it was sent, by whoever wants to know."""
        self.until: float = 0.0
        """When it is given up, by the clock of whoever insists on it; 0 if nobody does."""

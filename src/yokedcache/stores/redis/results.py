"""
What the operations give back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.codec.frame import HEAD_SIZE
from yokedcache.stores.redis.envelope import Vector
from yokedcache.stores.redis.layout import TagSet, TagState, of_incarnation, read_tag

if TYPE_CHECKING:
    from yokedcache.stores.redis.envelope import Envelope, Times


class Stamp:
    """
    Tags as they stood at one moment, before what they stand for is read (rule 1).

    `counter` is the last version that had been given by then, where it was asked for.
    """

    __slots__ = ("_states", "counter", "made", "mark", "tags", "values")

    def __init__(
        self,
        tags: TagSet,
        values: list[bytes | None],
        mark: bytes,
        counter: bytes | None = None,
        made: frozenset[int] = frozenset(),
    ) -> None:
        self.tags = tags
        self.values = values
        self.mark = mark
        self.counter = counter
        self.made = made
        """The places of tags that were not there, and had to be made."""
        self._states: list[TagState] | None = None

    @property
    def states(self) -> list[TagState]:
        """
        Each tag's version and fences, in the order of `tags`.
        """
        if self._states is None:
            self._states = [read_tag(value) for value in self.values]
        return self._states

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


class Hit:
    """
    An entry whose vector held, unfenced, at a moment of the look-up.
    """

    __slots__ = ("_envelope", "_versions")

    def __init__(self, envelope: Envelope, versions: list[bytes]) -> None:
        self._envelope = envelope
        self._versions = versions

    @property
    def payload(self) -> memoryview:
        """
        What was stored, as it was given.
        """
        return self._envelope.payload

    @property
    def data(self) -> bytes:
        """
        All bytes under the entry's key.
        """
        return self._envelope.data

    @property
    def head(self) -> int:
        """
        How many of them say what the others are, checksums included.
        """
        return self._envelope.payload_at + HEAD_SIZE

    @property
    def times(self) -> Times:
        """
        When it was made, and until when it is fresh and may be served stale.
        """
        return self._envelope.times

    @property
    def vector(self) -> Vector:
        """
        The versions under which it holds.
        """
        return Vector(self._envelope.digests, self._versions)


class Miss:
    """
    No entry that holds, why, and how the tags stood that were asked for.

    Reasons: `absent`; bytes that can't be read: `foreign`, `truncated`, `corrupted`,
    `other_layout`; `incarnation`, stamped in another life of the server; and of the
    tags: `tag_lost`, `tag_unknown`, `commit_in_flight`, `changed`.
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


class Lifted:
    """
    The version that a lift gave, and on how many tags its fence was missing.
    """

    __slots__ = ("missing", "version")

    def __init__(self, version: bytes, missing: int) -> None:
        self.version = version
        self.missing = missing

"""
What the operations give back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.stores import answers
from yokedcache.stores.answers import Lifted, Miss, RaisedFence, Vector
from yokedcache.stores.redis.layout import read_tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yokedcache.stores.answers import TagSet, TagState, Times
    from yokedcache.stores.redis.envelope import Envelope

__all__ = ["Hit", "Lifted", "Miss", "RaisedFence", "Stamp"]


class Stamp(answers.Stamp):
    """
    Tags as they stood at one moment, read from what lay under their keys.
    """

    __slots__ = ("values",)

    def __init__(
        self,
        tags: TagSet,
        values: list[bytes | None],
        mark: bytes,
        counter: bytes | None = None,
        made: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(tags, None, mark, counter, made)
        self.values = values

    @property
    def states(self) -> Sequence[TagState]:
        """
        Each tag's version and fences, in the order of `tags`.
        """
        if self._states is None:
            self._states = [read_tag(value) for value in self.values]
        return self._states


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
        How many of them come before the payload.
        """
        return self._envelope.payload_at

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

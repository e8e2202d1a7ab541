"""
What the operations give back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.stores import answers
from yokedcache.stores.answers import Lifted, Miss, RaisedFence
from yokedcache.stores.envelope import Hit
from yokedcache.stores.redis.layout import read_tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yokedcache.stores.answers import TagSet, TagState

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

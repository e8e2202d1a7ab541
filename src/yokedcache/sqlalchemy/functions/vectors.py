"""
What one session has seen: under which versions the instances it holds were read.

Statements are noted around every read of the process, and hardly ever asked about. So
they are noted as little as possible: which tags, and what the store's counter was. A
tag's versions are numbers of that counter, so a version that isn't above the number
is the one that the statement read under; any other says that something has changed
since, and then no vector can be given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yokedcache.core.tags import Tag, Vector
    from yokedcache.stores.memory import MemoryStore


class Seen:
    """
    The versions that one session has seen since it last expired, by store.
    """

    __slots__ = ("_numbers", "_versions", "schemas", "unseen")

    def __init__(self) -> None:
        self.unseen = False
        """Something was read under no versions that could be given."""
        self.schemas: bytes | None = None
        """Through which map of schemas it was read (`told`); `None` if not told yet."""
        self._versions: dict[MemoryStore, dict[Tag, int]] = {}
        self._numbers: dict[MemoryStore, dict[tuple[str, ...], int]] = {}

    def add(self, store: MemoryStore, vector: Vector) -> None:
        """
        Add the versions under which something was read; the first of a tag counts.
        """
        versions = self._versions.get(store)
        if versions is None:
            self._versions[store] = dict(vector)
            return
        for tag, version in vector:
            versions.setdefault(tag, version)

    def read_through(self, schemas: bytes, *, holds: bool) -> None:
        """
        Note the map of schemas through which a statement reads.

        An instance doesn't tell by which it was read, so two are one too many.

        Args:
            holds: The session has instances already.
        """
        if holds and self.schemas is not None:
            self.unseen = True
        self.schemas = schemas

    def add_read(self, store: MemoryStore, names: tuple[str, ...], number: int) -> None:
        """
        Add what a statement reads that is about to be sent.

        Args:
            number: The counter by which the statement sees everything.
        """
        numbers = self._numbers.get(store)
        if numbers is None:
            self._numbers[store] = {names: number}
            return
        known = numbers.get(names)
        if known is None or number < known:
            numbers[names] = number

    def vector(self, store: MemoryStore) -> Vector | None:
        """
        Give all versions seen; `None` if there are none that still hold.
        """
        if self.unseen:
            return None
        found = dict(self._versions.get(store, ()))
        for names, number in self._numbers.get(store, {}).items():
            for tag, version in store.stamp_often(names).vector:
                if version > number:
                    return None
                found.setdefault(tag, version)
        return tuple(found.items())

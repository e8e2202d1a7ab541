"""
Capture: which tags were read, at which versions, while a function ran.

Per tag the first version counts. A second, different version, a fence met, or
a dirty or snapshot read spoils the capture: its result is handed to the caller
and not stored. What a nested hit, a waiter or a cached exception brings along
is the vector that it carries, not today's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.core.snapshots import FRESH

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from yokedcache.core.snapshots import View
    from yokedcache.core.tags import Stamp, Tag, Vector


class Capture:
    """
    A growing vector, or the reason why there can't be one.
    """

    __slots__ = ("_versions", "closed", "late", "private", "spoiled", "volatile")

    def __init__(self) -> None:
        self._versions: dict[Tag, int] = {}
        self.spoiled: str | None = None
        self.volatile: str | None = None
        """A function of the database that gives another answer each time was read."""
        self.private = False
        """Something was read that other callers mustn't have (rule 11)."""
        self.closed = False
        self.late: set[Tag] = set()
        """Tags of which nobody here knew how they stand where processes share them."""

    def note(self, vector: Vector) -> None:
        """
        Add versions that were taken before the data under them was read.
        """
        versions = self._versions
        for tag, version in vector:
            if versions.setdefault(tag, version) != version:
                self.spoil("changed_meanwhile")

    def note_stamp(self, stamp: Stamp) -> None:
        """
        Add a stamp; a fenced one spoils.
        """
        if stamp.fenced:
            self.spoil("commit_in_flight")
        self.note(stamp.vector)

    def note_late(self, stamp: Stamp) -> None:
        """
        Note which tags of a stamp are not known from the store that processes share.
        """
        self.late.update(tag for tag, _ in stamp.vector if tag.shared is None)

    def note_read(self, stamp: Stamp, view: View) -> None:
        """
        Add the stamp of what a transaction is about to read, if its view lets it.
        """
        reason = view.unstorable(stamp)
        if view is not FRESH:
            self.private = True
        if reason is None:
            self.note_stamp(stamp)
        else:
            self.spoil(reason)

    def spoil(self, reason: str) -> None:
        """
        Make the result unstorable; the first reason is kept.
        """
        if self.spoiled is None:
            self.spoiled = reason

    def absorb(self, other: Capture) -> None:
        """
        Take over what a capture inside this one saw.
        """
        self.note(other.vector)
        self.late |= other.late
        if other.spoiled is not None:
            self.spoil(other.spoiled)
        self.volatile = self.volatile or other.volatile
        self.private = self.private or other.private

    @property
    def vector(self) -> Vector:
        """
        What was seen so far.
        """
        return tuple(self._versions.items())

    def names(self) -> Iterable[Hashable]:
        """
        Name the tags seen so far.
        """
        return (tag.name for tag in self._versions)

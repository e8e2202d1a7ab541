"""
Tags and their versions.

A tag is a name that entries depend on. Each bump gives it a number that was
never used before, drawn from one counter; an entry carries the numbers that it
saw (its vector) and is valid while all of them still hold. A fence says that a
commit on the tag is in flight: it bumps, and while it is up nothing on the tag
may be stored.

Tags are held weakly: one lives as long as an entry, a stamp or a fence knows
it. Bumping a tag that nobody knows leaves nothing behind, which is sound since
a tag that comes into being again starts at the counter, above every number
that was ever noted for it before the bump.

Editors: callers hold a lock around every method but `Tag`'s attributes, which
are read without one. `pulse.value` changes after the versions have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable


class Tag:
    """
    A name, its current version, and how many fences are up on it.
    """

    __slots__ = ("__weakref__", "elsewhere", "fences", "name", "shared", "version")

    def __init__(self, name: Hashable, version: int) -> None:
        self.name = name
        self.version = version
        self.fences = 0
        self.shared: bytes | None = None
        """Its version in a store that processes share, as last learnt from there."""
        self.elsewhere = False
        """One of the fences is one that was seen there."""

    def __repr__(self) -> str:
        fenced = f", {self.fences} fences" if self.fences else ""
        return f"<Tag {self.name!r} at {self.version}{fenced}>"


SESSIONS: Final = "sessions:"
"""Stands in vectors for sessions that outlive a call, and may have changes in store
that its answer would show. Never bumped: whoever finds it asks those sessions."""

LISTENERS: Final = "listeners:"
"""The tag of who listens, on which unvaried functions that read depend."""

ANY_DATABASE: Final = "database:"
"""Stands in write sets for a database that doesn't say who it is."""

ANY_TAG: Final = "any:*"
"""Stands in write sets for tags invalidated by hand, too many to be remembered."""

Vector = tuple[tuple[Tag, int], ...]
"""The tag versions that an answer saw before its data was read."""


def holds(vector: Vector) -> bool:
    """
    Tell whether every version of a vector is still the current one.
    """
    for tag, version in vector:  # noqa: SIM110 - a generator costs three times as much
        if tag.version != version:
            return False
    return True


def unfenced(vector: Vector) -> bool:
    """
    Tell whether no commit is in flight on any tag of a vector.
    """
    return not any(tag.fences for tag, _ in vector)


def broken_by(vector: Vector) -> Hashable:
    """
    Name the first tag of a vector whose version no longer holds.
    """
    return next((tag.name for tag, version in vector if tag.version != version), None)


class Pulse:
    """
    One number that stands for "nothing was bumped since".

    An entry notes it when its vector was last compared; while both are equal
    the vector holds without a look. It is `None` while a transaction that has
    to be asked about is open: then nothing equals it, and every look-up takes
    the careful path.
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int | None = 0


class Fence:
    """
    One writer's fence over a set of tags; it keeps them alive until lifted.
    """

    __slots__ = ("tags", "up")

    def __init__(self, tags: tuple[Tag, ...]) -> None:
        self.tags = tags
        self.up = True


class Stamp:
    """
    Versions of some tags as they were at one moment, and whether one was fenced.
    """

    __slots__ = ("counter", "fenced", "noted", "vector")

    def __init__(self, vector: Vector, counter: int, *, fenced: bool) -> None:
        self.vector = vector
        self.counter = counter
        self.fenced = fenced
        self.noted: bytes | None = None
        """A shared store's own counter, if it was asked for that."""


class TagTable:
    """
    All tags of one store, the counter their versions come from, and the pulse.
    """

    def __init__(self) -> None:
        self.pulse: Final = Pulse()
        self.counter = 0
        self._tags: WeakValueDictionary[Hashable, Tag] = WeakValueDictionary()
        self._watchers = 0
        self._notes = 0
        self._lowest = 0

    def __len__(self) -> int:
        return len(self._tags)

    def tag(self, name: Hashable) -> Tag:
        """
        Give the tag of that name, making it at the counter's current number.
        """
        tag = self._tags.get(name)
        if tag is None:
            tag = self._tags[name] = Tag(name, self.counter)
        return tag

    def known(self, name: Hashable) -> bool:
        """
        Tell whether anything depends on the name.
        """
        return name in self._tags

    def names(self) -> list[Hashable]:
        """
        List the names that something depends on now.
        """
        return list(self._tags)

    def stamp(self, names: Iterable[Hashable]) -> Stamp:
        """
        Take the versions of the named tags.
        """
        # runs around every statement, so in one frame
        known, vector, fenced = self._tags, [], False
        for name in names:
            tag = known.get(name) or self.tag(name)
            vector.append((tag, tag.version))
            if tag.fences:
                fenced = True
        return Stamp(tuple(vector), self.counter, fenced=fenced)

    def bump(self, names: Iterable[Hashable]) -> None:
        """
        Give each named tag that something depends on a version never used before.
        """
        self._renew(filter(None, map(self._tags.get, names)))

    def fence(self, names: Iterable[Hashable]) -> Fence:
        """
        Bump the tags and put a fence over them, in one step.
        """
        tags = tuple(self.tag(name) for name in names)
        for tag in tags:
            tag.fences += 1
        self._renew(tags)
        return Fence(tags)

    def lift(self, fence: Fence) -> None:
        """
        Bump the tags of a fence and take it down; a second time does nothing.
        """
        if fence.up:
            fence.up = False
            self._renew(fence.tags)
            for tag in fence.tags:
                tag.fences -= 1

    def learn(self, name: Hashable, shared: bytes | None, *, fenced: bool) -> Tag:
        """
        Take down what a store that processes share says of a tag.

        Any other version than the one that was learnt before is a bump. So while a
        vector holds, what was learnt when its version began was learnt before the
        data under it was read; that this is the shared store's version still is for
        the shared store to say.
        """
        tag = self.tag(name)
        if tag.elsewhere != fenced:
            tag.fences += 1 if fenced else -1
            tag.elsewhere = fenced
        if shared is None or tag.shared != shared:
            tag.shared = shared
            self._renew((tag,))
        return tag

    def watch(self) -> None:
        """
        Send every look-up down the careful path until `unwatch` (counted).
        """
        self._watchers += 1
        self.pulse.value = None

    def unwatch(self) -> None:
        """
        End one `watch`.
        """
        self._watchers -= 1
        self._beat()

    def hold(self, note: int) -> None:
        """
        Note that a transaction sees things as they were at a number (counted).

        Until `let_go` look-ups take the careful path, as soon as anything was bumped
        since.
        """
        self._lowest = min(note, self._lowest) if self._notes else note
        self._notes += 1
        self._beat()

    def let_go(self) -> None:
        """
        End one `hold`.
        """
        self._notes -= 1
        self._beat()

    def begin_anew(self) -> None:
        """
        Break every vector and forget all tags, with whatever fences are up on them.
        """
        self._renew(list(self._tags.values()))
        self._tags = WeakValueDictionary()

    def _renew(self, tags: Iterable[Tag]) -> None:
        self.counter += 1
        for tag in tags:
            tag.version = self.counter
        self._beat()

    def _beat(self) -> None:
        behind = self._notes and self._lowest != self.counter
        self.pulse.value = None if self._watchers or behind else self.counter

"""
What this process knows of the shared store's tags, and of which tags things have.

A tag in the mirror has a number of this process's own for each version of the shared
store's that was learnt. It may lag; what follows from that is said in `core.tags`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from yokedcache.core.keys import PLAIN
from yokedcache.core.tags import LISTENERS
from yokedcache.shared.tagging import (
    MOST,
    Asked,
    TagSets,
    is_shared,
)
from yokedcache.stores.versions import not_after, of_incarnation

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.core.entry import Entry
    from yokedcache.core.tags import Tag, TagTable, Vector
    from yokedcache.shared.tagging import Universal
    from yokedcache.stores.answers import Stamp
    from yokedcache.stores.contract import Hit

_MOST_HINTS: Final = 10_000
_MOST_LASTING: Final = 4096


class Mirror:
    """
    The shared tags as they were learnt last.

    Editors: callers hold the store's lock around what learns.

    Args:
        universal: the tag of everything.
        hears: it is told what others change (`unlearn`).
    """

    def __init__(
        self,
        tags: TagTable,
        make: Callable[[Iterable[str]], Any],
        universal: Universal,
        *,
        hears: bool = False,
    ) -> None:
        self._tags = tags
        self._hears = hears
        self._universal = universal
        self._sets = TagSets(make)
        self.mark = b""
        """The incarnation of the shared store, as last learnt."""
        self.forget()

    def forget(self) -> None:
        """
        Know nothing of what has which tags.
        """
        self._lasting: dict[Tag, None] = {}
        self._by_digest: WeakValueDictionary[bytes, Tag] = WeakValueDictionary()
        self._hints: dict[Hashable, tuple[str, ...]] = {}
        self._listeners = self._tags.tag(LISTENERS)
        self._heard: dict[Hashable, int] = {}

    def asked(self, names: Iterable[str]) -> Asked:
        """
        Give the set of some tags, as it is asked for.
        """
        return self._sets.of(names)

    def expected(
        self, key: Hashable, near: Entry | None, names: Iterable[str]
    ) -> Asked:
        """
        Give the tags that the entry of a key will have, as far as can be told.
        """
        every = self._names(key, near, names)
        if every.isdisjoint(self._universal.names):
            every.add(self._universal.of(key, every))
        if len(every) > MOST:
            every.intersection_update(self._universal.names)
        return self._sets.of(every)

    def universal(self, key: Hashable, near: Entry | None, names: Iterable[str]) -> str:
        """
        Give the tag of everything that the entry of a key is to carry.
        """
        if len(self._universal.names) == 1:
            return self._universal.names[0]
        return self._universal.of(key, self._names(key, near, names))

    def _names(
        self, key: Hashable, near: Entry | None, names: Iterable[str]
    ) -> set[str]:
        known = () if near is None else (tag.name for tag, _ in near.vector)
        hint = self._hints.get(_kind(key), ())
        return {str(name) for name in (*names, *known, *hint) if is_shared(name)}

    def hinted(self, key: Hashable) -> bool:
        """
        Tell whether it is known what tags entries like a key's have.
        """
        return _kind(key) in self._hints

    def hint(self, key: Hashable, entry: Entry, given: Iterable[str]) -> None:
        """
        Remember what tags an entry has, but those that were given for its key alone.
        """
        if _kind(key) is None:
            return
        own = {*given, *self._universal.names}
        names = (str(tag.name) for tag, _ in entry.vector if is_shared(tag.name))
        if len(self._hints) >= _MOST_HINTS:
            self._hints.clear()
        self._hints[_kind(key)] = tuple(name for name in names if name not in own)

    def knows(self, asked: Asked) -> bool:
        """
        Tell whether it was learnt how all of some tags stand.
        """
        stamp = self._tags.stamp(asked.names)
        return all(tag.shared is not None for tag, _ in stamp.vector)

    def learn(self, asked: Asked, stamp: Stamp) -> None:
        """
        Learn how tags stand.
        """
        self.mark = stamp.mark or self.mark
        each = zip(asked.names, asked.digests, stamp.states, strict=True)
        for name, digest, state in each:
            version = state.version
            if version is not None and not of_incarnation(version, stamp.mark):
                version = None
            fenced = bool(state.fences)
            self._keep(digest, self._tags.learn(name, version, fenced=fenced))

    def learn_hit(self, names: tuple[str, ...], found: Hit) -> Vector | None:
        """
        Learn under which versions an entry holds, and give them as this process's.

        `None` if the entry's tags are others than it says.
        """
        asked = self._sets.of(name for name in names if is_shared(name))
        if asked.tags.digests != found.vector.digests:
            return None
        versions = found.vector.versions
        for name, digest, version in zip(
            asked.names, asked.digests, versions, strict=True
        ):
            self._keep(digest, self._tags.learn(name, version, fenced=False))
        return self._tags.stamp(names).vector

    def unlearn(self, version: bytes, digests: Iterable[bytes]) -> None:
        """
        Unlearn how some tags stand that have changed elsewhere, under a version.

        Not those that are known to have that one or a later one: what this process has
        changed itself is told to it as well.
        """
        for digest in digests:
            tag = self._by_digest.get(digest)
            if tag is None or (tag.shared and not_after(version, tag.shared)):
                continue
            self.doubt((tag,))

    def doubt(self, tags: Iterable[Tag]) -> None:
        """
        Unlearn how some tags stand: what was known turned out to be old.
        """
        for tag in tags:
            self._tags.learn(tag.name, None, fenced=tag.elsewhere)

    def hear(self, key: Hashable, entry: Entry) -> None:
        """
        Note that this process itself has loaded what an unvaried function gives.
        """
        for tag, version in entry.vector:
            if tag is self._listeners:
                if len(self._heard) >= _MOST_HINTS:
                    self._heard.clear()
                self._heard[_kind(key)] = version

    def is_heard(self, key: Hashable, vector: Vector) -> bool:
        """
        Tell whether listeners of this process can't make another answer right.

        Whoever stored it may have had others. So a function that doesn't say what it
        varies on is run here once, which tells, before it is answered for it.
        """
        if all(tag is not self._listeners for tag, _ in vector):
            return True
        return self._heard.get(_kind(key)) == self._listeners.version

    def _keep(self, digest: bytes, tag: Tag) -> None:
        """
        Keep what was learnt last alive: it spares asking.
        """
        if self._hears:
            self._by_digest[digest] = tag
        self._lasting.pop(tag, None)
        self._lasting[tag] = None
        if len(self._lasting) > _MOST_LASTING:
            del self._lasting[next(iter(self._lasting))]


def _kind(key: Hashable) -> Hashable:
    """
    Give what entries of one function, or statement, have in common.

    Plain keys have nothing.
    """
    kind = key[0] if isinstance(key, tuple) and key else None
    return None if kind == PLAIN else kind

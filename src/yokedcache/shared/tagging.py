"""
Which tags are shared, and how sets of them are asked for.

Some tags are this process's own affair: what its sessions hold, who listens in it.
Every shared entry carries the tag of everything, which `clear` bumps and so does a
write of which nobody knows what it changed.

**In copies.** On a store that is spread over servers that one tag would make look-ups of all
entries need the server that has it. There it is several tags, one on each server, and
whoever changes everything changes all of them: a writer has a fence on each before COMMIT
is sent, and bumps each after it, as with any tags of one commit. So each of them alone tells
a reader that nothing of that kind has happened since its version was taken, and an entry
carries one: that of a server which it needs anyway. A copy that can't be changed is
what any tag is on a server that isn't reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.tags import ANY_DATABASE, ANY_TAG, LISTENERS, SESSIONS
from yokedcache.shared.keys import shared_key
from yokedcache.stores.contract import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.core.tags import Vector
    from yokedcache.stores.contract import Commands

EVERYTHING: Final = "everything"
OWN: Final = frozenset({SESSIONS, LISTENERS})
"""Tags that mean something in their own process alone."""
_WIDE: Final = frozenset({ANY_DATABASE, ANY_TAG})
"""What stands in write sets for more than can be named."""

MOST: Final = 200
"""Tags that are asked for by name; with more nothing is kept, and all is fenced."""

MOST_COPIES: Final = 64
"""Of the tag of everything: with more servers some share one."""

_MOST_SETS: Final = 4096


def is_shared(name: Hashable) -> bool:
    """
    Tell whether a tag is one that other processes know.
    """
    return isinstance(name, str) and name not in OWN and name not in _WIDE


class Universal:
    """
    The tag of everything in one store, or its copies.
    """

    __slots__ = ("_spread", "names")

    def __init__(self, commands: Commands) -> None:
        self._spread = commands if isinstance(commands, Spread) else None
        self.names = (
            (EVERYTHING,)
            if self._spread is None
            else self._spread.copies(EVERYTHING)[:MOST_COPIES]
        )

    def of(self, key: Hashable, names: Iterable[str]) -> str:
        """
        Name the one that the entry of a key is to carry, by its tags as far as known.
        """
        if self._spread is None:
            return EVERYTHING
        own = set(names).difference(self.names)
        raw = None if own else shared_key(key)
        return self.names[self._spread.needed(raw, own) % len(self.names)]

    def once(self, key: Hashable, vector: Vector) -> Vector:
        """
        Leave one copy in a vector that holds: each alone tells of what happens from now on.

        It is that of a server which the entry needs anyway, if it is known how it stands.
        """
        copies = {str(tag.name): tag for tag, _ in vector if tag.name in self.names}
        if len(copies) < 2:  # noqa: PLR2004 - one is what an entry carries
            return vector
        best = self.of(key, (str(tag.name) for tag, _ in vector if is_shared(tag.name)))
        known = [name for name, tag in copies.items() if tag.shared] or list(copies)
        kept = copies[best if best in known else known[0]]
        return tuple(
            (tag, version)
            for tag, version in vector
            if tag is kept or tag.name not in self.names
        )

    def written(self, names: Iterable[Hashable]) -> tuple[str, ...]:
        """
        Name the shared tags that a change of these reaches.
        """
        given = tuple(names)
        shared = tuple(dict.fromkeys(n for n in given if is_shared(n)))
        if len(shared) > MOST or not _WIDE.isdisjoint(given):
            return self.names
        return shared  # type: ignore[return-value]  # strings, as `is_shared` says


class Asked:
    """
    A set of tags as it is asked for, with their names in the order of the answers.
    """

    __slots__ = ("digests", "names", "tags")

    def __init__(
        self, names: Iterable[str], make: Callable[[Iterable[str]], Any]
    ) -> None:
        self.tags = make(names)
        by_digest = {make((name,)).digest(0): name for name in names}
        self.digests = tuple(
            self.tags.digest(place) for place in range(self.tags.count)
        )
        self.names = tuple(by_digest[digest] for digest in self.digests)


class TagSets:
    """
    The sets that were asked for lately, made once.
    """

    def __init__(self, make: Callable[[Iterable[str]], Any]) -> None:
        self._make = make
        self._known: dict[frozenset[str], Asked] = {}

    def of(self, names: Iterable[str]) -> Asked:
        """
        Give the set of some names.
        """
        wanted = frozenset(names)
        found = self._known.get(wanted)
        if found is None:
            if len(self._known) >= _MOST_SETS:
                self._known.clear()
            found = self._known[wanted] = Asked(wanted, self._make)
        return found

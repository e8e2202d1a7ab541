"""
Which tags are shared, and how sets of them are asked for.

Some tags are this process's own affair: what its sessions hold, who listens in it.
Every shared entry carries the tag of everything, which `clear` bumps and so does a
write of which nobody knows what it changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.tags import ANY_DATABASE, ANY_TAG, LISTENERS, SESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

EVERYTHING: Final = "everything"
OWN: Final = frozenset({SESSIONS, LISTENERS})
"""Tags that mean something in their own process alone."""
_WIDE: Final = frozenset({ANY_DATABASE, ANY_TAG})
"""What stands in write sets for more than can be named."""

MOST: Final = 200
"""Tags that are asked for by name; with more nothing is kept, and all is fenced."""

_MOST_SETS: Final = 4096


def is_shared(name: Hashable) -> bool:
    """
    Tell whether a tag is one that other processes know.
    """
    return isinstance(name, str) and name not in OWN and name not in _WIDE


def written(names: Iterable[Hashable]) -> tuple[str, ...]:
    """
    Name the shared tags that a change of these reaches.
    """
    given = tuple(names)
    shared = tuple(dict.fromkeys(n for n in given if is_shared(n)))
    if len(shared) > MOST or not _WIDE.isdisjoint(given):
        return (EVERYTHING,)
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

"""
Who invalidated a tag last: kept for people who ask why an answer isn't served.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

_MOST: Final = 2000
"""Names that are remembered; the ones that were invalidated longest ago go first."""

_LONGEST: Final = 300
"""Characters of a statement that are shown."""


class Cause:
    """
    What invalidated: a statement or a call, and the place in the code it came from.
    """

    __slots__ = ("_place", "what")

    def __init__(self, what: str, place: Callable[[], str | None]) -> None:
        self.what = what
        self._place = place

    def __str__(self) -> str:
        what = " ".join(self.what.split())
        if len(what) > _LONGEST:
            what = f"{what[:_LONGEST]}..."
        place = self._place()
        return what if place is None else f"{what} ({place})"


class Causes:
    """
    The last cause for each of a bounded number of names.
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[int, float, Cause]] = {}
        self._numbers = itertools.count()

    def note(self, names: Iterable[Hashable], cause: Cause, now: float) -> None:
        """
        Remember what invalidated some names just now.
        """
        number = next(self._numbers)
        last = self._last
        for name in names:
            last.pop(name, None)
            last[name] = (number, now, cause)
        while len(last) > _MOST:
            del last[next(iter(last))]

    def last(self, names: Iterable[Hashable]) -> Cause | None:
        """
        Give what invalidated any of the names last, if that is remembered.
        """
        found = [self._last[name] for name in names if name in self._last]
        return max(found, key=lambda told: told[0])[-1] if found else None

    def since(self, moment: float) -> list[tuple[Hashable, Cause]]:
        """
        List the names that were invalidated since a moment, last first, with the cause.
        """
        told = sorted(self._last.items(), key=lambda item: item[1][0], reverse=True)
        return [(name, cause) for name, (_, when, cause) in told if when >= moment]

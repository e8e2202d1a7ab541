"""
Try every order of events, each state once.

A generator can't be copied, so each history is told anew from its beginning. Two
histories that lead to the same state go on alike: a world draws its portrait so
that equal pictures mean equal futures.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class Breach(AssertionError):  # noqa: N818 - a finding
    """
    A promise that was broken.
    """


class Explorable(Protocol):
    """
    A world in which one thing after the other happens.
    """

    def distinct(self) -> list[str]:
        """
        Name what may happen next, but of actors who are alike only one's deeds.
        """

    def do(self, choice: str) -> None:
        """
        Let one thing happen, and check what must hold at any moment.
        """

    def check_end(self) -> None:
        """
        Check what must hold when nothing more can happen.
        """

    def portrait(self) -> Hashable:
        """
        Draw the world so that worlds of equal pictures have equal futures.
        """

    def close(self) -> None:
        """
        End what is under way.
        """


W = TypeVar("W", bound=Explorable)


class Outcome:
    """
    What an exploration found.
    """

    def __init__(
        self, states: int, ends: int, story: tuple[str, ...], why: str
    ) -> None:
        self.states = states
        self.ends = ends
        self.story = story
        """The shortest history that breaks a promise; empty if there is none."""
        self.why = why

    def __str__(self) -> str:
        lines = [f"{n:3}. {event}" for n, event in enumerate(self.story, 1)]
        return "\n".join([f"{self.states} states, {self.ends} ends", *lines, self.why])


def explore(make: Callable[[], Explorable]) -> Outcome:
    """
    Visit every state that a world can reach, the nearest first.
    """
    start = make()
    search = _Search(make)
    search.seen.add(start.portrait())
    heads: list[tuple[tuple[str, ...], Explorable]] = [((), start)]
    try:
        while heads:
            heads = [head for parent in heads for head in search.follow(*parent)]
    except _Broken as broken:
        return Outcome(len(search.seen), search.ends, broken.story, str(broken.breach))
    finally:
        search.close()
    return Outcome(len(search.seen), search.ends, (), "")


class _Broken(Exception):  # noqa: N818 - not an error
    def __init__(self, story: tuple[str, ...], breach: Breach) -> None:
        super().__init__(story, breach)
        self.story = story
        self.breach = breach


class _Search(Generic[W]):
    """
    The states seen so far.
    """

    def __init__(self, make: Callable[[], W]) -> None:
        self._make = make
        self.seen: set[Hashable] = set()
        self.ends = 0
        self._open: set[W] = set()

    def follow(
        self, story: tuple[str, ...], world: W
    ) -> list[tuple[tuple[str, ...], W]]:
        """
        Give the histories that go on from one, to states not seen yet.
        """
        choices = world.distinct()
        if not choices:
            self.ends += 1
            _expect(world.check_end, story)
            self._close(world)
        more = []
        for choice in choices:
            longer = (*story, choice)
            # The world at hand serves the first choice; the others need their own.
            world = world if choice is choices[0] else self._tell(story)
            self._open.add(world)
            _expect(partial(world.do, choice), longer)
            picture = world.portrait()
            if picture in self.seen:
                self._close(world)
            else:
                self.seen.add(picture)
                more.append((longer, world))
        return more

    def close(self) -> None:
        """
        End the worlds that are still open.
        """
        for world in list(self._open):
            self._close(world)

    def _close(self, world: W) -> None:
        self._open.discard(world)
        world.close()

    def _tell(self, story: tuple[str, ...]) -> W:
        world = self._make()
        for choice in story:
            world.do(choice)
        return world


def _expect(deed: Callable[[], None], story: tuple[str, ...]) -> None:
    try:
        deed()
    except Breach as breach:
        raise _Broken(story, breach) from breach

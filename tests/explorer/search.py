"""
Try every order of events, each state once.

A generator can't be copied, so each history is told anew from its beginning. Two
histories that lead to the same state go on alike; `portrait` draws a state so
that equal pictures mean equal futures: version numbers only as "still holds" or
not, tickets only as "older than this flight" or not.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.explorer.actors import Breach
from tests.explorer.readers import Reader
from tests.explorer.transactions import Transaction
from tests.explorer.world import World
from tests.explorer.writers import Writer
from yokedcache.core import operations as ops

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tests.explorer.world import Scope
    from yokedcache.core.entry import Entry
    from yokedcache.core.flights import Flight
    from yokedcache.core.tags import Vector


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


def explore(scope: Scope) -> Outcome:
    """
    Visit every state that a scope can reach, the nearest first.
    """
    start = World(scope)
    search = _Search(scope)
    search.seen.add(portrait(start))
    heads: list[Head] = [((), start)]
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


Head = tuple[tuple[str, ...], World]
"""A history, and the world that it led to."""


class _Search:
    """
    The states seen so far.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.seen: set[Hashable] = set()
        self.ends = 0
        self._open: set[World] = set()

    def follow(self, story: tuple[str, ...], world: World) -> list[Head]:
        """
        Give the histories that go on from one, to states not seen yet.
        """
        choices = _distinct(world)
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
            picture = portrait(world)
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

    def _close(self, world: World) -> None:
        self._open.discard(world)
        world.close()

    def _tell(self, story: tuple[str, ...]) -> World:
        world = World(self.scope)
        for choice in story:
            world.do(choice)
        return world


def _expect(deed: Callable[[], None], story: tuple[str, ...]) -> None:
    try:
        deed()
    except Breach as breach:
        raise _Broken(story, breach) from breach


def _distinct(world: World) -> list[str]:
    """
    Give the choices of all actors, but of those who are alike only one's.
    """
    seen: set[Hashable] = set()
    alike = set()
    for actor in world.actors:
        picture = _actor(actor, world)
        if picture in seen:
            alike.add(actor.name)
        seen.add(picture)
    return [
        choice
        for choice in world.choices()
        if not any(choice.startswith(f"{name}: ") for name in alike)
    ]


def portrait(world: World) -> Hashable:
    """
    Draw a world so that worlds of equal pictures have equal futures.
    """
    store = world.store
    entry = store.entries.get("answer")
    fences = tuple(
        (name, store.tags.tag(name).fences)
        for name in sorted(map(str, store.tags.names()))
    )
    flight = world.flights._flights.get("answer")
    actors = Counter(_actor(actor, world) for actor in world.actors)
    orphans = Counter((o.rows, o.state, o.told) for o in world.orphans)
    return (
        tuple(world.rows),
        world.floor,
        tuple(world.budget.values()),
        fences,
        _entry(entry) if entry is not None else None,
        entry is not None and entry.pulse == store.pulse.value,
        _flight(flight, 0, world),
        frozenset(actors.items()),
        frozenset(orphans.items()),
    )


def _actor(actor: Any, world: World) -> Hashable:
    if actor.finished:
        return type(actor).__name__
    if isinstance(actor, Writer):
        return ("Writer", actor.rows, type(actor.op).__name__, actor.told)
    if isinstance(actor, Transaction):
        return _transaction(actor, world)
    ticket, began, floor = 0, True, ()
    if isinstance(actor, Reader):
        ticket, began, floor = actor.ticket, actor.began, actor.floor
    capture = actor.capture
    return (
        actor.kind,
        began,
        floor,
        actor.step,
        actor.waits,
        actor.read,
        actor.unshared,
        (*_vector(actor.stamp.vector), actor.stamp.fenced) if actor.stamp else None,
        (_vector(capture.vector), capture.spoiled) if capture else None,
        _older(ticket, world.flights._flights.get("answer")),
        _op(actor.op, ticket, world),
        _frames(actor.plan, ticket, world),
    )


def _transaction(actor: Transaction, world: World) -> Hashable:
    """
    Draw a transaction: of its note only which present versions are above it.
    """
    note = actor.note
    tags = [world.store.tags.tag(name) for name in world.tags()]
    stamp = actor.stamp
    return (
        actor.kind,
        None if note is None else tuple(tag.version <= note for tag in tags),
        actor.state,
        actor.told,
        _vector(actor.served),
        actor.asked,
        None if stamp is None else (*_above(stamp.vector, note), stamp.fenced),
        type(actor.op).__name__,
    )


def _above(vector: Vector, note: int | None) -> tuple[Hashable, ...]:
    return tuple(
        (tag.name, tag.version == version, note is not None and version > note)
        for tag, version in vector
    )


def _op(op: Any, ticket: int, world: World) -> Hashable:
    if isinstance(op, ops.Await):
        return ("Await", _flight(op.flight, ticket, world))
    return type(op).__name__


def _frames(plan: Any, ticket: int, world: World) -> Hashable:
    """
    Draw where a plan is, and what its variables hold.
    """
    frames = []
    while plan is not None and plan.gi_frame is not None:
        local = plan.gi_frame.f_locals
        frames.append(
            (
                plan.gi_frame.f_lasti,
                *((name, _draw(local[name], ticket, world)) for name in sorted(local)),
            )
        )
        plan = plan.gi_yieldfrom
    return tuple(frames)


def _draw(value: Any, ticket: int, world: World) -> Hashable:  # noqa: PLR0911 - one a kind
    if value is None or isinstance(value, (bool, str, tuple)):
        return value
    if isinstance(value, ops.Found):
        return (value.verdict, _entry(value.entry) if value.entry else None)
    if isinstance(value, ops.Sealed):
        return _sealed(value)
    if isinstance(value, ops.Loaded):
        return (value.value, value.error is None)
    if type(value).__name__ == "Seat":
        return (value.role, _flight(value.flight, ticket, world))
    if type(value).__name__ == "Flight":
        return _flight(value, ticket, world)
    if type(value).__name__ == "Entry":
        return _entry(value)
    # Numbers are counts of waits; tickets and stamps are drawn elsewhere.
    return value if type(value) is int and value != ticket else type(value).__name__


def _vector(vector: Vector) -> tuple[Hashable, ...]:
    return tuple((tag.name, tag.version == version) for tag, version in vector)


def _entry(entry: Entry) -> Hashable:
    return (entry.value, entry.born, _vector(entry.vector))


def _sealed(sealed: ops.Sealed | None) -> Hashable:
    if sealed is None:
        return None
    entry = _entry(sealed.entry) if sealed.entry is not None else None
    return (entry, sealed.refused, sealed.private)


def _flight(flight: Flight | None, ticket: int, world: World) -> Hashable:
    if flight is None:
        return None
    off = flight.ticket is not None
    met = world.flights.flying("answer") is flight
    sealed = _sealed(flight.sealed)
    return (off, flight.landed, flight.awaited, met, sealed, _older(ticket, flight))


def _older(ticket: int, flight: Flight | None) -> bool | None:
    if flight is None or flight.ticket is None:
        return None
    return ticket < flight.ticket

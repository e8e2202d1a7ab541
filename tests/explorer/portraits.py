"""
Pictures of a world of one process: equal ones mean equal futures.

Version numbers are drawn only as "still holds" or not, tickets only as "older than this
flight" or not.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.explorer.readers import Reader
from tests.explorer.transactions import Transaction
from tests.explorer.writers import Writer
from yokedcache.core import operations as ops

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tests.explorer.world import World
    from yokedcache.core.entry import Entry
    from yokedcache.core.flights import Flight
    from yokedcache.core.tags import Vector


def distinct(world: World) -> list[str]:
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

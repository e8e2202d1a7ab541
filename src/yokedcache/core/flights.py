"""
Who leads, who waits, who goes alone: the decisions of rule 11.

A flight is one load of one key under way. It takes a ticket when its versions
are taken; a caller takes one when it starts. On landing, a caller may have the
value if the flight's vector still holds, or if the caller's ticket is older
than the flight's: then every read of the flight came after the caller began.

Nobody waits who could be waited for: a blocking caller never waits for its own
thread, a circle of waits is seen before it closes, and every wait has a limit.

Editors: callers hold a lock around every method.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from yokedcache.core.tags import holds, unfenced

if TYPE_CHECKING:
    from collections.abc import Hashable

    from yokedcache.core.operations import Sealed


class Role(enum.Enum):
    """
    What a caller who wants a key does.
    """

    LEAD = "lead"
    WAIT = "wait"
    ALONE = "alone"


class Caller:
    """
    What matters of a caller for who waits for whom.
    """

    __slots__ = ("blocking", "chain", "may_lead", "may_wait", "thread")

    def __init__(
        self,
        thread: int,
        *,
        blocking: bool,
        chain: tuple[Flight, ...] = (),
        may_lead: bool = True,
        may_wait: bool = True,
    ) -> None:
        self.thread = thread
        self.blocking = blocking
        self.chain = chain
        self.may_lead = may_lead
        self.may_wait = may_wait


class Flight:
    """
    One load of one key under way.
    """

    __slots__ = (
        "__weakref__",
        "awaited",
        "key",
        "landed",
        "sealed",
        "thread",
        "ticket",
        "waits",
    )

    def __init__(self, key: Hashable, thread: int) -> None:
        self.key = key
        self.thread = thread
        self.awaited = False
        """Somebody was told to wait for it."""
        self.ticket: int | None = None
        self.waits: list[Flight] = []
        self.landed = False
        self.sealed: Sealed | None = None

    def serves(self, ticket: int, *, anew: bool = False) -> bool:
        """
        Tell whether a caller that took `ticket` may have what this flight brought.

        With `anew` it must all have been read since.
        """
        sealed = self.sealed
        if sealed is None or sealed.private or sealed.entry is None:
            return False
        if self.ticket is not None and ticket < self.ticket:
            return True
        if anew or ticket >= sealed.entry.proven:
            return False
        vector = sealed.entry.vector
        return holds(sealed.guard) and holds(vector) and unfenced(vector)


class Seat:
    """
    A caller's part in a flight.
    """

    __slots__ = ("flight", "role")

    def __init__(self, role: Role, flight: Flight | None = None) -> None:
        self.role = role
        self.flight = flight


class FlightTable:
    """
    The flights under way, by key.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._flights)

    def ticket(self) -> int:
        """
        Draw the next number of the one order of events.
        """
        self._tickets += 1
        return self._tickets

    def board(self, key: Hashable, caller: Caller, *, once: Hashable = None) -> Seat:
        """
        Give a caller its part: lead a new flight, wait for one, or go alone.

        `once` is what the key was before it was known in full.
        """
        flight = self.flying(key, once=once)
        if flight is None:
            if not caller.may_lead:
                return Seat(Role.ALONE)
            flight = self._flights[key] = Flight(key, caller.thread)
            return Seat(Role.LEAD, flight)
        if not caller.may_wait or self._hopeless(flight, caller):
            return Seat(Role.ALONE)
        flight.awaited = True
        return Seat(Role.WAIT, flight)

    def flying(self, key: Hashable, *, once: Hashable = None) -> Flight | None:
        """
        Give the flight of a key that a caller would meet.
        """
        flight = self._flights.get(key)
        if flight is None and once is not None:
            flight = self._flights.get(once)
        return flight

    def take_off(self, flight: Flight) -> None:
        """
        Note that the flight's versions are being taken: its reads come after.
        """
        flight.ticket = self.ticket()

    def drift(self, seat: Seat) -> bool:
        """
        Let a flight go on at its leader's leisure; false if somebody waits for it.

        Until it picks up again (`resume`) callers of its key start another, and its
        leader may drop it: there is nothing to land.
        """
        flight = seat.flight
        if flight is None or flight.awaited:
            return False
        self._remove(flight)
        seat.role = Role.ALONE
        return True

    def resume(self, seat: Seat, thread: int) -> None:
        """
        Let callers wait for a flight again, unless another one took its place.
        """
        flight = seat.flight
        if flight is not None and not flight.landed:
            flight.thread = thread
            seat.role = Role.LEAD
            self._flights.setdefault(flight.key, flight)

    def land(self, flight: Flight, sealed: Sealed | None) -> None:
        """
        End a flight; later callers of its key start another.
        """
        flight.sealed = sealed
        flight.landed = True
        self._remove(flight)

    def _remove(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _hopeless(self, flight: Flight, caller: Caller) -> bool:
        if caller.blocking and flight.thread == caller.thread:
            return True
        return _reaches(flight, caller.chain)


def _reaches(start: Flight, targets: tuple[Flight, ...]) -> bool:
    """
    Follow who waits for whom: does `start` wait, at some remove, for a target?
    """
    seen: set[int] = set()
    todo = [start]
    while todo:
        flight = todo.pop()
        if flight in targets:
            return True
        if id(flight) not in seen:
            seen.add(id(flight))
            todo.extend(flight.waits)
    return False

"""
One process of the explored world: the real near side of a shared store, over the model.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from tests.explorer.shared_memory import LEASE
from tests.explorer.shared_way import Way
from yokedcache import opening, settings
from yokedcache.core.backplane import Backplane
from yokedcache.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tests.explorer.shared_model import Model
    from tests.explorer.shared_world import SharedWorld
    from yokedcache.shared.orphans import Orphan

GRACE: Final = 1.0
NEAR: Final = 0.5


class Deaf(Backplane):
    """
    Doesn't remember what was announced since something was asked (hole 18).
    """

    def __init__(self, model: Model) -> None:
        super().__init__(NEAR)
        self.model = model

    def changed(self, asked: float, tags: Any) -> bool:
        return False


class Older(Deaf):
    """
    Takes what was asked before it followed for what was asked since.
    """

    changed = Backplane.changed

    def begin(self, sent: float, arrived: float) -> None:
        super().begin(sent, 0.0)


class Hasty(Deaf):
    """
    Vouches from when it heard, and not from when it asked.
    """

    changed = Backplane.changed

    def vouch(self, sent: float) -> None:
        super().vouch(self.model.now)


WRONG: Final = {"8-position": Deaf, "8-since": Older, "8-vouched": Hasty}


class Process:
    """
    One process: its cache, and its way to the store.
    """

    def __init__(self, world: SharedWorld, number: int, *, near: bool) -> None:
        self.number = number
        self.near = near
        self.hears = near and bool(world.scope.polls)
        self.dead = False
        self.own = 0
        """What its own commits have told."""
        way = Way(world.model)
        told: dict[str, Any] = {"lease": LEASE, "orphan_grace": GRACE, "jitter": 0.0}
        if near:
            bound = NEAR if world.off != "8" else 1000 * NEAR
            told["near"] = {"max_staleness": bound}
        with mock.patch.object(opening, "_client", return_value=way):
            given = settings.read("redis://explored", told)
            self.machine = Machine(given, lambda: world.model.now)
        self.store: Any = self.machine.store
        self.store._wall = self.store._timing._wall = lambda: world.model.now
        self.server = self.store.server
        # its thread is there already: what that does is a step
        self.store._fencing._orphans._thread = threading.current_thread()
        wrong = WRONG.get(world.off)
        if wrong is not None and near:
            self.store._listener.backplane = wrong(world.model)

    @property
    def met(self) -> dict[bytes, Orphan]:
        """
        The fences of others that it has met, and who knows of their transactions.
        """
        met: dict[bytes, Orphan] = self.store._fencing._orphans._met
        return met

    def vouch(self) -> None:
        """
        Do what a thread does three times a lease: renew the fences that are up.
        """
        self.store._fencing._vouch()

    def die(self) -> None:
        self.dead = True

    def portrait(self) -> Hashable:
        """
        Draw all that it knows.
        """
        if self.dead:
            return "dead"
        store = self.store
        flights = self.machine.terminal._table
        return (
            store.tags.counter,
            store.pulse.value,
            tuple(
                (str(name), tag.version, tag.fences, tag.elsewhere, tag.shared)
                for name, tag in sorted(store.tags._tags.items(), key=str)
            ),
            tuple(
                (
                    *(entry.value, entry.proven, entry.pulse, entry.plain_until),
                    entry.asked if self.hears else None,
                    *((str(tag.name), version) for tag, version in entry.vector),
                    str(entry.question),
                )
                for entry in store.entries.values()
            ),
            tuple(map(str, store._mirror._hints.values())),
            tuple(
                (flight.ticket, flight.landed, flight.awaited)
                for flight in flights._flights.values()
            ),
            len(store._fencing._raised),
            tuple(
                (token, one.is_left is None, *sorted(one.names))
                for token, one in sorted(self.met.items())
            ),
            self._heard() if self.hears else None,
        )

    def _heard(self) -> Hashable:
        backplane = self.store._listener.backplane
        return (
            (backplane.vouched, backplane.since, self.store._listener._position),
            tuple(sorted(backplane._heard.items())),
        )

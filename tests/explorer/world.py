"""
A small world in which every order of events can be tried.

Readers and writers run the real plans over the real memory store and the real
flight table; only the host is scripted. A reader's load is cut where it reads
the database, a writer's commit where it becomes visible, so that anything may
happen in between. Any of the consistency rules can be switched off, here in the
host and never in the library, to see that it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.explorer import portraits
from tests.explorer.readers import Reader, Refresher
from tests.explorer.search import Breach
from tests.explorer.transactions import Transaction
from tests.explorer.writers import Orphan, Writer
from yokedcache.core.flights import FlightTable
from yokedcache.core.tags import holds
from yokedcache.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from tests.explorer.actors import Actor
    from yokedcache.core.operations import Refresh

KEY = "answer"
"""The one key that all readers want."""

TRANSACTIONS = frozenset({"snapshot", "floating"})
"""The kinds of readers that see one state."""

Value = tuple[int, ...]
"""One number a row; each commit that writes the row makes it one larger."""


class Scope:
    """
    Who takes part, what may go wrong, and which rule is off.
    """

    def __init__(
        self,
        readers: tuple[str, ...],
        writers: tuple[tuple[int, ...], ...],
        *,
        rows: int = 1,
        warm: str = "",
        lost: int = 0,
        failing: int = 0,
        cancelled: int = 0,
        impatient: int = 0,
        unshared: int = 0,
        off: str = "",
    ) -> None:
        self.readers = readers
        self.writers = writers
        self.rows = rows
        self.warm = warm
        """`fresh` or `stale`: what is stored when the story begins."""
        self.budget = {
            "lost": lost,
            "failing": failing,
            "cancelled": cancelled,
            "impatient": impatient,
            "unshared": unshared,
        }
        self.off = off


class World:
    """
    One history, as far as it has come.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.off = scope.off
        self.now = 0.0
        self.budget = dict(scope.budget)
        self.store = MemoryStore(lambda: self.now, max_entries=100, max_bytes=10**9)
        self.flights = FlightTable()
        self.rows: list[int] = [0] * scope.rows
        self.floor: Value = (0,) * scope.rows
        """What whoever begins now must see at least."""
        self.orphans: list[Orphan] = []
        self.actors: list[Actor] = []
        if scope.warm:
            self._warm()
        for number, kind in enumerate(scope.readers, 1):
            made = Transaction if kind in TRANSACTIONS else Reader
            self.actors.append(made(self, f"R{number}", kind))
        for number, rows in enumerate(scope.writers, 1):
            self.actors.append(Writer(self, f"W{number}", rows))

    def choices(self) -> Iterator[str]:
        """
        Name everything that may happen next.
        """
        for actor in self.actors:
            yield from (f"{actor.name}: {deed}" for deed in actor.deeds())
        for orphan in self.orphans:
            yield from (f"{orphan.name}: {deed}" for deed in orphan.deeds())

    def distinct(self) -> list[str]:
        """
        Name the same, but of actors who are alike only one's.
        """
        return portraits.distinct(self)

    def portrait(self) -> Hashable:
        """
        Draw the world so that worlds of equal pictures have equal futures.
        """
        return portraits.portrait(self)

    def do(self, choice: str) -> None:
        """
        Let one thing happen, and check what must hold at any moment.

        Raises:
            Breach: a promise was broken.
        """
        name, _, deed = choice.partition(": ")
        for actor in (*self.actors, *self.orphans):
            if actor.name == name:
                actor.do(deed)
        self.check()

    def tags(self) -> tuple[str, ...]:
        """
        Name the tags that an answer depends on: one a row.
        """
        return tuple(f"table:row{number}" for number in range(self.scope.rows))

    def spend(self, what: str) -> None:
        """
        Take one of the mishaps that the scope allows.
        """
        self.budget[what] -= 1

    def returned(self, value: Value) -> None:
        """
        Note what somebody was told: nothing older may be told to later comers.
        """
        self.floor = tuple(map(max, self.floor, value))

    def spawn(self, name: str, kind: str, op: Refresh) -> None:
        """
        Let a background refresh take part.
        """
        self.actors.append(Refresher(self, name, kind, op))

    def check(self) -> None:
        """
        Check that a reader who came now would not be served anything old.
        """
        entry = self.store.entries.get(KEY)
        if entry is None:
            return
        valid = holds(entry.vector)
        if entry.pulse == self.store.pulse.value and not valid:
            raise Breach("the pulse stands for a vector that doesn't hold")
        if valid and any(map(int.__lt__, entry.value, self.floor)):
            raise Breach(f"{entry.value} is served although {self.floor} was told")

    def check_end(self) -> None:
        """
        Check what must hold when nothing more can happen.
        """
        waiting = [actor.name for actor in self.actors if not actor.finished]
        if waiting:
            raise Breach(f"{', '.join(waiting)} wait for ever")
        if len(self.flights):
            raise Breach("a flight stayed in the table")
        for name in self.store.tags.names():
            if self.store.tags.tag(name).fences:
                raise Breach(f"a fence stayed up on {name}")
        self._ask_once_more()

    def _ask_once_more(self) -> None:
        last = Reader(self, "R0", "function")
        self.actors.append(last)
        while not last.finished:
            last.do(next(iter(last.deeds())))
        if last.value != tuple(self.rows):
            raise Breach(f"a last reader got {last.value}, not {tuple(self.rows)}")

    def _warm(self) -> None:
        first = Reader(self, "R0", "function")
        while not first.finished:
            first.do(next(iter(first.deeds())))
        if self.scope.warm == "stale":
            self.now = 150.0

    def close(self) -> None:
        """
        End the plans under way; a generator that was only dropped would complain.
        """
        for actor in self.actors:
            actor.close()

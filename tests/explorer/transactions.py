"""
Transactions of the explored world that see one state (rule 6).

A `snapshot` makes its snapshot with a statement on something else; a `floating`
one may be served before. Both then ask twice for the one key that all want.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.explorer.actors import Actor
from tests.explorer.search import Breach
from yokedcache.core import operations as ops
from yokedcache.core.entry import Entry, Lifetime
from yokedcache.core.flights import Role, Seat
from yokedcache.core.freshness import Verdict, judge
from yokedcache.core.plans import answer_statement
from yokedcache.core.snapshots import FRESH, Sight, View
from yokedcache.core.tags import holds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.explorer.world import Value, World
    from yokedcache.core.tags import Stamp, Vector

QUESTIONS = 2
"""How often a transaction asks."""


class Transaction(Actor):
    """
    A transaction above READ COMMITTED.
    """

    def __init__(self, world: World, name: str, kind: str) -> None:
        super().__init__(world, name)
        self.kind = kind
        self.note: int | None = None
        self.state: Value = ()
        """What its snapshot holds, once it is made."""
        self.told: Value = ()
        """What it was told when it last asked."""
        self.served: Vector = ()
        """Under which versions it was served before its snapshot was made."""
        self.asked = 0
        self.stamp: Stamp | None = None

    @property
    def view(self) -> View:
        if self.world.off in {"6", "6-floating"}:
            return FRESH
        return View(Sight.SNAPSHOT, self.note)

    def deeds(self) -> Iterator[str]:
        if not self.finished:
            yield self._next()

    def _next(self) -> str:
        if self.op is not None:
            return {
                ops.TakeStamp: "stamps",
                ops.Load: "reads",
                ops.Store: "stores",
            }[type(self.op)]
        late = self.world.off == "6-late" and self.kind == "snapshot"
        if self.kind == "snapshot" and late and not self.state:
            return "makes its snapshot"
        if self.note is None:
            return "notes the counter"
        if self.kind == "snapshot" and not self.state:
            return "makes its snapshot"
        return "looks up"

    def do(self, deed: str) -> None:
        world = self.world
        if deed == "notes the counter":
            self.note = world.store.tags.counter
        elif deed == "makes its snapshot":
            self.state = tuple(world.rows)
        elif deed == "looks up":
            self._look_up()
        elif deed == "stamps":
            self.stamp = world.store.stamp(self.op.names)
            self.advance(self.stamp)
        elif deed == "reads":
            self._read()
        else:
            self.advance(world.store.put(self.op.key, self.op.entry))

    def _look_up(self) -> None:
        world = self.world
        entry = world.store.fetch("answer")
        if (
            entry is not None
            and judge(entry, world.now) is Verdict.FRESH
            and self.view.unservable(entry.vector) is None
        ):
            if not self.state:
                self.served = entry.vector
            self._hear(entry.value)
            return
        if not self.state:  # its first statement is about to be sent
            self.note = world.store.tags.counter
        # who sees one state neither waits nor leads
        self.plan = answer_statement("answer", world.tags(), ticket=0)
        self.advance()
        self.advance(ops.Found(None, Verdict.GONE))
        self.advance(Seat(Role.ALONE))

    def _read(self) -> None:
        if not self.state:
            self.state = tuple(self.world.rows)
            if self.world.off != "6-skew" and not holds(self.served):
                self.told = ()  # counted as a skew: the two may differ
        self.advance(ops.Loaded(self.state))
        assert isinstance(self.op, ops.Seal)
        assert self.stamp is not None
        entry = Entry(
            self.state,
            copier=None,
            vector=self.stamp.vector,
            born=self.world.now,
            cost=0.0,
            lifetime=Lifetime(100.0),
            weight=1,
        )
        fenced = "commit_in_flight" if self.stamp.fenced else None
        refused = fenced or self.view.unstorable(self.stamp)
        self.advance(ops.Sealed(entry, refused=refused, private=True))

    def end(self, outcome: Any) -> None:
        self.plan = self.op = self.stamp = None
        if outcome is None:
            self.finished = True
        elif outcome.loaded is not None:
            self._hear(outcome.loaded.value)
        else:
            self._hear(outcome.entry.value)

    def _hear(self, value: Value) -> None:
        if self.state and value != self.state:
            raise Breach(f"{self.name} was told {value}, but it sees {self.state}")
        if self.told and value != self.told:
            raise Breach(f"{self.name} was told {self.told}, and then {value}")
        self.told = value
        self.asked += 1
        self.finished = self.asked == QUESTIONS

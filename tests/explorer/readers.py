"""
Readers of the explored world, and refreshes in the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.explorer.actors import STATEMENTS, Loader
from tests.explorer.search import Breach
from yokedcache.core import operations as ops
from yokedcache.core.freshness import Verdict, judge
from yokedcache.core.plans import Answer, answer_call, answer_statement, lead

if TYPE_CHECKING:
    from tests.explorer.world import Value, World

EVERYONE = -1
"""A ticket older than every flight: whoever has it is served by all of them."""


class Reader(Loader):
    """
    Someone who calls a function or executes a statement, once.

    Kinds: `function` names its tags, `captured` finds them out as it reads. A
    `statement` looks up before it draws its ticket, and its rows are taken when its
    caller likes, unless somebody waits. A `connected` one holds a connection: it
    neither waits nor leads.
    """

    def __init__(self, world: World, name: str, kind: str) -> None:
        super().__init__(world, name, kind)
        self.began = False
        self.ticket = 0
        self.floor: Value = ()

    def next_deed(self) -> str:
        if not self.began:
            return "begins"
        return "draws its ticket" if self.plan is None else super().next_deed()

    def do(self, deed: str) -> None:
        if deed == "begins":
            self._begin()
        elif deed == "draws its ticket":
            self._set_out()
        else:
            super().do(deed)

    def _begin(self) -> None:
        world = self.world
        self.began, self.floor = True, world.floor
        if self.kind in STATEMENTS:
            entry = world.store.fetch("answer")
            if entry is not None and judge(entry, world.now) is Verdict.FRESH:
                self.end(Answer("hit", entry=entry))
            elif self.kind == "connected":
                self._set_out()
            return
        self._draw_ticket()
        self.plan = answer_call("answer", self.names, ticket=self.ticket)
        self.advance()

    def _draw_ticket(self) -> None:
        world = self.world
        self.ticket = EVERYONE if world.off == "11" else world.flights.ticket()

    def _set_out(self) -> None:
        """
        Go on from a look-up that found nothing; it isn't repeated at once.
        """
        self._draw_ticket()
        self.plan = answer_statement("answer", self.names, ticket=self.ticket)
        self.advance()
        self.go_on(ops.Found(None, Verdict.GONE))

    def end(self, outcome: Any) -> None:
        super().end(outcome)
        self.stamp = self.capture = None
        if outcome is None:
            return
        if outcome.loaded is None:
            self.value = outcome.entry.value
        elif outcome.loaded.error is None:
            self.value = outcome.loaded.value
        if self.value is not None:
            if any(map(int.__lt__, self.value, self.floor)):
                raise Breach(
                    f"{self.name} got {self.value}, but {self.floor} was told "
                    "before it began"
                )
            self.world.returned(self.value)


class Refresher(Loader):
    """
    A refresh in the background: leads, and hands its value to no caller.
    """

    def __init__(self, world: World, name: str, kind: str, op: ops.Refresh) -> None:
        super().__init__(world, name, kind)
        self.plan = lead("answer", op.tags, op.seat)
        self.go_on()

"""
Who reads in the world of several processes.

Each runs the real plan over the real near side; where that asks the store is a step of
its own. What only its own process can notice happens with the step before.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.explorer.search import Breach
from yokedcache.calls import CallHost
from yokedcache.core import operations as ops
from yokedcache.core.entry import Lifetime, Tally
from yokedcache.core.plans import Answer, answer_call
from yokedcache.core.snapshots import FRESH
from yokedcache.core.tags import Stamp
from yokedcache.errors import StoreError
from yokedcache.runtime.context import current_capture
from yokedcache.shared.resting import Rest

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from tests.explorer.shared_process import Process
    from tests.explorer.shared_world import SharedWorld

TAG = "table:row"
TTL = 100.0
COST = 1.0
"""Seconds that a load seems to take: worth to be claimed."""

Value = int


class Killed(BaseException):
    """
    What ends the plans of a process that died, or of a history that was told.
    """


class Policy:
    """
    What the function asks for.
    """

    beta = 0.0
    copy = False
    timed = varied = True
    late = varies = False

    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags = tags

    def lifetime(self, machine: Any, cost: float) -> Lifetime:
        return Lifetime(TTL)

    def error_lifetime(self, machine: Any, error: Exception) -> None:
        raise NotImplementedError(machine, error)

    def wanted(self, value: Any) -> bool:
        return True

    def result_tags(self, value: Any) -> tuple[str, ...]:
        return ()


class Caller:
    """
    Someone who calls a cached function, once.

    Kinds: `function` names its tags, `captured` finds them out as it reads; `uncached`
    asks the database, no cache.
    """

    def __init__(
        self, world: SharedWorld, process: Process, name: str, kind: str
    ) -> None:
        self.world = world
        self.process = process
        self.name = name
        self.kind = kind
        self.finished = False
        self.value: Value | None = None
        self._floor = 0
        self._host: CallHost | None = None
        self._plan: Any = None
        self._op: Any = None
        self._talk: Any = None
        self._asks: Any = None
        self._late: Any = None
        """With rule 1 off: what is to be asked once the load is over."""
        self._said: Any = None
        """What the store has answered, which is under way."""
        self._seen: Hashable = None
        """The store when it was last asked."""
        self._trace: list[Hashable] = []

    def deeds(self) -> Iterator[str]:
        if self.finished or self.process.dead:
            return
        if self._plan is None:
            yield "begins" if self.kind != "uncached" else "reads the row"
        elif self._said is not None:
            yield "is answered"
        elif type(self._asks) is Rest:
            # to look again before anything has changed would find the same
            if self.world.model.portrait() != self._seen:
                yield "rests"
        elif self._asks is not None:
            yield f"asks the store to {self._asks.asked}"
        elif isinstance(self._op, ops.Load):
            yield "reads the row"
        elif self._op.flight.landed:
            yield "wakes"

    def do(self, deed: str) -> None:
        if deed == "begins":
            self._begin()
        elif self.kind == "uncached":
            self._end(Answer("bypass", loaded=ops.Loaded(self.world.row)))
        elif deed == "reads the row":
            self._step(self.host.perform(self._op))
        elif deed == "wakes":
            self._step(self._op.flight.sealed)
        elif deed == "is answered":
            said, self._said = self._said, None
            self._follow(self._talk.send, said)
        else:
            self._ask()
        now = self.world.model.now if self.process.hears else 0.0
        self._trace.append((deed, now, self.process.portrait()))

    def portrait(self) -> Hashable:
        if self.finished:
            return (self.name, self.value)
        return (self.name, self._floor, tuple(self._trace))

    def close(self) -> None:
        """
        Leave the plan, which cleans up into nowhere.
        """
        for under_way in (self._talk, self._plan):
            if under_way is not None:
                with suppress(Killed, StopIteration):
                    under_way.throw(Killed())
                    while True:
                        under_way.send(None)
        self._talk = self._plan = None

    @property
    def host(self) -> CallHost:
        assert self._host is not None
        return self._host

    def _begin(self) -> None:
        machine, tags = self.process.machine, (TAG,)
        policy = Policy(tags if self.kind == "function" else ())
        tally = Tally(self.name)
        tally.cost = COST if self.world.scope.claims else 0.0
        ticket = -1 if self.world.off == "11" else machine.terminal.ticket()
        self._floor = self.world.floor_for(self.process)
        self._host = CallHost(
            machine,
            policy,
            tally,
            self.world.key,
            self._read,
            blocking=True,
            ticket=ticket,
            given=policy.tags,
        )
        self._plan = answer_call(self.world.key, policy.tags, ticket=ticket)
        self._step()

    def _read(self) -> Value:
        capture = current_capture()
        if self.kind == "captured" and capture is not None:
            stamp = capture.store.stamp((TAG,))
            capture.note_late(stamp)
            capture.note_read(stamp, FRESH)
        return self.world.row

    def _ask(self) -> None:
        try:
            if type(self._asks) is Rest:
                answer = None
            else:
                answer = self.process.server.perform(self._asks)
                self._seen = self.world.model.portrait()
        except StoreError as error:
            self._follow(self._talk.throw, error)
        else:
            if self.process.hears and self._asks.asked in {"read", "again"}:
                self._said = answer
                return
            self._follow(self._talk.send, answer)

    def _step(self, answer: Any = None) -> None:
        """
        Answer the plan, and do at once what takes no asking.
        """
        while True:
            try:
                self._op = self._plan.send(answer)
            except StopIteration as stop:
                self._end(stop.value)
                return
            op = self._op
            if isinstance(op, (ops.Load, ops.Await)):
                return
            if self.world.off == "1" and isinstance(op, ops.TakeStamp):
                self._late, answer = op, Stamp((), 0, fenced=False)
                continue
            if self.world.off == "1" and isinstance(op, ops.Seal):
                self._say(self.host._stamping(self._late))
                return
            asking = self.host._asked.get(type(op))
            if asking is not None:
                self._say(asking(self.host, op))
                return
            answer = self.host.perform(op)

    def _say(self, talk: Any) -> None:
        self._talk = talk
        self._follow(talk.send, None)

    def _follow(self, step: Any, given: Any) -> None:
        try:
            self._asks = step(given)
        except StopIteration as stop:
            self._talk = self._asks = None
            result = stop.value
            if isinstance(self._op, ops.Seal):  # rule 1 is off: this is the stamp
                self._op.stamp = result
                result = self.host.perform(self._op)
            self._step(result)

    def _end(self, answer: Any) -> None:
        self.finished = True
        self._plan = self._op = None
        loaded = answer.loaded
        self.value = loaded.value if loaded is not None else answer.entry.value
        if self.value < self._floor:
            raise Breach(
                f"{self.name} got {self.value}, but {self._floor} was told before it began"
            )
        if not self.process.near:
            self.world.told(self.value)

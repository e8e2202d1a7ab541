"""
Who reads in the explored world, and what all actors have in common.

Each actor wraps a plan of the library and answers its operations. What only its own
actor can notice (sealing, the end of a load) happens at once; everything that
others can see is a step of its own.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.explorer.search import Breach
from yokedcache.core import operations as ops
from yokedcache.core.capture import Capture
from yokedcache.core.entry import Entry, Lifetime
from yokedcache.core.flights import Caller, Role, Seat
from yokedcache.core.freshness import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.explorer.world import Value, World
    from yokedcache.core.tags import Stamp

STATEMENTS = ("statement", "connected")
"""Kinds of readers whose rows their caller takes when it likes."""

_TAKING = ("looks who waits", "fetches what remains", "has it all")
"""What is done with the rows of a statement that was executed."""

MOST_WAITS = 2
"""How many flights a caller may wait for, one after the other."""


class CancelledHere(BaseException):
    """
    What a cancelled task is thrown.
    """


class Actor:
    """
    A plan under way, and the operation that it waits for.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.plan: Any = None
        self.op: Any = None
        self.step = 0
        self.finished = False

    def deeds(self) -> Iterator[str]:
        raise NotImplementedError

    def do(self, deed: str) -> None:
        raise NotImplementedError

    def advance(self, answer: Any = None, error: BaseException | None = None) -> None:
        """
        Send the plan an answer, and do at once what nobody else can notice.
        """
        try:
            self.op = (
                self.plan.send(answer) if error is None else self.plan.throw(error)
            )
        except StopIteration as stop:
            self.end(stop.value)
        except (CancelledHere, ConnectionError):
            self.end(None)

    def end(self, outcome: Any) -> None:
        self.finished = True
        self.plan = self.op = None

    def close(self) -> None:
        """
        Throw the plan out, letting it clean up into nowhere.
        """
        plan, self.plan = self.plan, None
        if plan is None:
            return
        with suppress(CancelledHere, StopIteration):
            plan.throw(CancelledHere())
            while True:
                plan.send(None)


class Loader(Actor):
    """
    What readers and background refreshes have in common.
    """

    def __init__(self, world: World, name: str, kind: str) -> None:
        super().__init__(world, name)
        self.kind = kind
        self.stamp: Stamp | None = None
        self.capture: Capture | None = None
        self.read: Value = ()
        self.value: Value | None = None
        self.waits = 0
        self.unshared = False
        self.led: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        """
        The tags that the plan is told; a capture finds them out.
        """
        return () if self.kind == "captured" else self.world.tags()

    def deeds(self) -> Iterator[str]:
        if self.finished:
            return
        budget, op = self.world.budget, self.op
        if not isinstance(op, ops.Await) or op.flight.landed:
            yield self.next_deed()
        elif budget["impatient"]:
            yield "stops waiting"
        if isinstance(op, ops.Load):
            if budget["failing"]:
                yield "fails to load"
            if budget["cancelled"]:
                yield "is cancelled"
            if budget["unshared"] and self._executed():
                yield "can't be kept"
        elif isinstance(op, ops.Await) and budget["cancelled"]:
            yield "is cancelled"

    def next_deed(self) -> str:
        op = self.op
        if isinstance(op, ops.TakeStamp):
            return "stamps" if self.step else "takes off"
        if isinstance(op, ops.Load):
            row, part = divmod(self.step, 2)
            if self._executed():
                return _TAKING[self.step - 2 * len(self.world.rows)]
            if self.kind == "captured" and not part:
                return f"captures the tag of row {row}"
            return f"reads row {row}"
        return {
            ops.Fetch: "looks up",
            ops.Board: "boards",
            ops.Await: "wakes",
            ops.Seal: "seals",
            ops.Store: "stores",
            ops.Land: "lands",
            ops.Refresh: "asks for a refresh",
        }[type(op)]

    def do(self, deed: str) -> None:
        world = self.world
        if deed == "stops waiting":
            world.spend("impatient")
            self.go_on(self.op.flight.sealed)
        elif deed == "fails to load":
            world.spend("failing")
            if self.kind in STATEMENTS:
                self.go_on(error=CancelledHere())
            else:
                self.loaded(ops.Loaded(error=LookupError()))
        elif deed == "can't be kept":
            world.spend("unshared")
            self.unshared = True
            self.loaded(ops.Loaded())
        elif deed == "is cancelled":
            world.spend("cancelled")
            self.go_on(error=CancelledHere())
        else:
            self._perform(self.op)

    def go_on(self, answer: Any = None, error: BaseException | None = None) -> None:
        self.step = 0
        self.advance(answer, error)
        while isinstance(self.op, ops.Seal) and self.world.off != "1":
            self.advance(self._seal(self.op))
        if isinstance(self.op, ops.TakeStamp) and self._leads() is None:
            self.step = 1
        if isinstance(self.op, ops.Await):
            self.waits += 1
            if self.waits > MOST_WAITS:
                raise Breach(f"{self.name} waits for a third flight")

    def loaded(self, loaded: ops.Loaded) -> None:
        """
        End the load; only this actor knows it yet.
        """
        self.go_on(loaded)

    def _perform(self, op: Any) -> None:
        world = self.world
        if isinstance(op, ops.Fetch):
            entry = world.store.fetch(op.key)
            verdict = judge(entry, world.now) if entry else Verdict.GONE
            self.go_on(ops.Found(entry, verdict))
        elif isinstance(op, ops.Board):
            self.go_on(self._board(op))
        elif isinstance(op, ops.Await):
            self.go_on(op.flight.sealed)
        elif isinstance(op, ops.TakeStamp):
            self._take_stamp(op)
        elif isinstance(op, ops.Load):
            self._load()
        elif isinstance(op, ops.Seal):
            self.go_on(self._seal(op))
        elif isinstance(op, ops.Store):
            self.go_on(self._put(op))
        elif isinstance(op, ops.Land):
            world.flights.land(op.seat.flight, op.sealed)
            self.go_on()
        else:
            world.spawn(f"{self.name}'s refresh", self.kind, op)
            self.go_on(answer=True)

    def _board(self, op: ops.Board) -> Seat:
        if self.kind == "connected":
            return Seat(Role.ALONE)
        seat = self.world.flights.board(op.key, Caller(id(self), blocking=False))
        self.led = seat if seat.role is Role.LEAD else None
        return seat

    def _executed(self) -> bool:
        """
        Tell whether a flight's statement was executed: its rows are there to be taken.
        """
        return self.kind in STATEMENTS and (
            self.led is not None and len(self.read) == len(self.world.rows)
        )

    def _leads(self) -> Any:
        seat = self.op.seat
        return seat.flight if seat is not None and seat.role is Role.LEAD else None

    def _take_stamp(self, op: ops.TakeStamp) -> None:
        if not self.step:
            self.world.flights.take_off(self._leads())
            self.step = 1
            return
        self.stamp = self._stamp(op.names)
        self.capture = Capture()
        self.go_on(self.stamp)

    def _stamp(self, names: tuple[str, ...]) -> Stamp:
        stamp = self.world.store.stamp(names)
        if self.world.off == "3":
            stamp.fenced = False
        return stamp

    def _load(self) -> None:
        world, (row, part) = self.world, divmod(self.step, 2)
        assert self.capture is not None
        if self._executed():
            self._take_rows(row, part)
            return
        if not part:
            self.read = () if not row else self.read
            if self.kind == "captured":
                self.capture.note_stamp(self._stamp((world.tags()[row],)))
                self.step += 1
                return
            self.step += 1
        self.read = (*self.read, world.rows[row])
        self.step += 1
        if len(self.read) == len(world.rows) and not self._executed():
            self.loaded(ops.Loaded(self.read))

    def _take_rows(self, row: int, part: int) -> None:
        """
        Read them ahead where somebody waits; else at the caller's leisure.
        """
        flights, seat = self.world.flights, self.led
        if row == len(self.world.rows) and not part:
            if flights.drift(seat):
                self.step += 1
                return
        elif part:
            flights.resume(seat, id(self))
            self.step += 1
            return
        self.loaded(ops.Loaded(self.read))

    def _seal(self, op: ops.Seal) -> ops.Sealed:
        if op.loaded.error is not None:
            return ops.Sealed(None)
        if self.unshared:
            return ops.Sealed(None, refused="unshared", private=True)
        capture, stamp = self.capture, op.stamp
        assert capture is not None
        if self.world.off == "1":
            names = self.world.tags()
            capture = Capture()
            stamp = self._stamp(names)
        capture.note_stamp(stamp)
        entry = Entry(
            op.loaded.value,
            copier=None,
            vector=capture.vector,
            born=self.world.now,
            cost=0.0,
            lifetime=Lifetime(100.0, stale=100.0),
            weight=1,
        )
        return ops.Sealed(entry, refused=capture.spoiled)

    def _put(self, op: ops.Store) -> str | None:
        store = self.world.store
        tags = [tag for tag, _ in op.entry.vector] if self.world.off == "3" else []
        fences = [tag.fences for tag in tags]
        for tag in tags:
            tag.fences = 0
        refused = store.put(op.key, op.entry)
        for tag, number in zip(tags, fences, strict=True):
            tag.fences = number
        return refused

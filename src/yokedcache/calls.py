"""
One call of a cached function, as the plans' operations see it.

`CallHost` does what `core.plans.answer_call` asks, for a blocking caller and
for one in an event loop alike; only `Load` and `Await` differ.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from yokedcache.again import Standing
from yokedcache.background import refresh
from yokedcache.boarding import boarding, landing, take_seat
from yokedcache.core.freshness import Verdict, judge
from yokedcache.core.kept_errors import kept, raise_anew
from yokedcache.core.operations import (
    Await,
    Board,
    Fetch,
    Found,
    Land,
    Load,
    Loaded,
    Refresh,
    Seal,
    Sealed,
    Store,
    TakeStamp,
)
from yokedcache.core.tags import Stamp, Vector, holds
from yokedcache.errors import ValueNotStorableError
from yokedcache.generators import Unfinished
from yokedcache.runtime.clocks import draw
from yokedcache.runtime.context import OpenCapture, capturing
from yokedcache.runtime.drive import run, run_async
from yokedcache.runtime.log import once
from yokedcache.runtime.surroundings import (
    NOTHING,
    Scene,
    examine,
    install_integrations,
    open_transaction,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator

    from yokedcache.core.entry import Entry, Tally
    from yokedcache.core.flights import Flight, Seat
    from yokedcache.core.operations import Op
    from yokedcache.machine import Machine
    from yokedcache.policy import Policy
    from yokedcache.stores.silent import Asking, T

_SPARE = frozenset({Verdict.STALE, Verdict.EARLY})
_SHARED = frozenset({None, "commit_in_flight", "changed_meanwhile", "condition"})
"""Why a result isn't stored that may yet be given to those who wait for it."""


class CallHost:
    """
    Does the operations of one call.
    """

    def __init__(  # noqa: PLR0917 - the facts of one call, in one place
        self,
        machine: Machine,
        policy: Policy,
        tally: Tally,
        key: Hashable,
        call: Callable[[], Any],
        scene: Scene = NOTHING,
        *,
        blocking: bool,
        ticket: int,
        given: tuple[str, ...] = (),
    ) -> None:
        self.ticket = ticket
        """Drawn when the call began."""
        self.given = given
        """The tags that its caller named."""
        self.machine = machine
        self.policy = policy
        self.tally = tally
        self.key = key
        self.call = call
        self.scene = scene
        self.blocking = blocking
        self.anew = False  # whether what was loaded before the call won't do
        self._unreachable = False
        self._allowance = machine.store.allowance()
        self.stale = False
        """What was found may be served, but should be renewed."""
        self.claim: bytes | None = None
        """What says to other processes that this call loads."""
        self._flight: Flight | None = None
        self._capture: OpenCapture | None = None
        self._late = False
        self._guard: Vector = ()
        self._noted: bytes | None = None

    def perform(self, op: Op[Any]) -> Any:
        """
        Do an operation in the calling thread.
        """
        return self._deeds[type(op)](self, op)

    def begin(self, op: Op[Any]) -> Awaitable[Any] | None:
        """
        Begin an operation that waits in the event loop; `None` for the others.
        """
        if type(op) is Load:
            return self._load_async()
        if type(op) is Await:
            return self.machine.terminal.wait_async(op.flight)
        if self.machine.store.shares:
            asking = self._asked.get(type(op))
            if asking is not None:
                return run_async(asking(self, op), self._allowance)
        return None

    def stands(self, standing: Standing) -> None:
        """
        Learn what was asked on the short way: where the store failed it isn't asked anew.
        """
        self._unreachable = standing is not Standing.OTHER
        if standing is Standing.SILENT:
            self._allowance.spend()

    def wait_anew(self) -> None:
        """
        Forget that the store was waited for in vain.
        """
        self._allowance = self.machine.store.allowance()

    def _done(self, asking: Asking[T]) -> T:
        return run(asking, self._allowance.here)

    def _fetch(self, op: Fetch) -> Found:
        return self._done(self._fetching(op))

    def _fetching(self, op: Fetch) -> Asking[Found]:
        if self._unreachable:
            self._unreachable = False
            return self.found(None)
        machine = self.machine
        tags = self.given
        copy = self.policy.copy
        scene = self.scene
        entry = yield from machine.store.look(
            op.key,
            self.ticket,
            tags,
            owner=self.tally,
            copy=copy,
            near=scene.session is None and not scene.notes and not scene.vector,
        )
        return self.found(entry)

    def found(self, entry: Entry | None) -> Found:
        """
        Judge what a look-up gave.
        """
        machine = self.machine
        if entry is None:
            return Found(None, Verdict.GONE)
        beta = self.policy.beta
        verdict = judge(entry, machine.clock(), beta=beta, draw=draw() if beta else 1.0)
        self.stale = verdict in _SPARE
        return Found(entry, verdict)

    def _board(self, op: Board) -> Seat:
        if self.machine.store.shares:
            return self._done(boarding(self, op))
        return take_seat(self, op.key)

    def _await(self, op: Await) -> Sealed | None:
        return self.machine.terminal.wait(op.flight)

    def _take_stamp(self, op: TakeStamp) -> Stamp:
        return self._done(self._stamping(op))

    def _stamping(self, op: TakeStamp) -> Asking[Stamp]:
        if op.seat is not None:
            self._flight = op.seat.flight
            self.machine.terminal.take_off(op.seat)
        self._guard = self.machine.store.guard(self.key)
        late = self.policy.late
        stamp = yield from self.machine.store.take(op.names, self.key, late=late)
        self._noted = stamp.noted
        return stamp

    def _load(self, _: Load) -> Loaded:
        clock = self.machine.clock
        with self._capturing():
            began = clock()
            try:
                value = self.call()
            except Exception as error:  # noqa: BLE001 - handed to the plan
                return Loaded(error=error, cost=clock() - began)
            return Loaded(value, cost=clock() - began)

    async def _load_async(self) -> Loaded:
        clock = self.machine.clock
        with self._capturing():
            began = clock()
            try:
                value = await self.call()
            except Exception as error:  # noqa: BLE001 - handed to the plan
                return Loaded(error=error, cost=clock() - began)
            return Loaded(value, cost=clock() - began)

    @contextmanager
    def _capturing(self) -> Iterator[None]:
        install_integrations()
        store, varied, scene = self.machine.store, self.policy.varied, self.scene
        keyed = {"varies": scene.varies, "schemas": scene.schemas}
        with capturing(store, self._flight, varied=varied, **keyed) as capture:
            self._capture = capture
            capture.note(scene.vector)
            try:
                yield
            finally:
                self._late = install_integrations()

    def _seal(self, op: Seal) -> Sealed:
        machine, loaded, stamp = self.machine, op.loaded, op.stamp
        self.tally.loads += 1
        self.tally.cost = loaded.cost
        capture = self._capture
        if capture is None:  # pragma: no cover - a plan seals only what was loaded
            return Sealed(None, private=True)
        life = (
            self.policy.lifetime(machine, loaded.cost)
            if loaded.error is None
            else self.policy.error_lifetime(machine, loaded.error)
        )
        if life is None:
            return Sealed(None)
        if isinstance(loaded.value, Unfinished):
            self.tally.refuse("too_many_items")
            return Sealed(None, refused="too_many_items", private=True)
        capture.note_stamp(stamp)
        refused = self._late_tags(capture, loaded, stamp)
        try:
            value = loaded.value if loaded.error is None else kept(loaded.error)
            entry = machine.entry(
                value,
                capture.vector,
                life,
                self.tally,
                cost=loaded.cost,
                copy=self.policy.copy and loaded.error is None,
            )
        except ValueNotStorableError as error:
            self._say_unstorable(error)
            return Sealed(None, refused="unstorable", private=True)
        if loaded.error is not None:
            entry.isolate(raise_anew)
        return self._judged(entry, capture, refused)

    def _judged(
        self, entry: Entry, capture: OpenCapture, refused: str | None
    ) -> Sealed:
        reason = refused or capture.spoiled or self.scene.spoiled
        if not self.policy.timed:
            reason = reason or capture.volatile
        if self._late:
            reason = reason or "tracking_began"
        private = capture.private or reason not in _SHARED
        if reason:
            self.tally.refuse(reason)
        return Sealed(entry, refused=reason, private=private, guard=self._guard)

    def _late_tags(
        self, capture: OpenCapture, loaded: Loaded, stamp: Stamp
    ) -> str | None:
        """
        Add tags that only the result tells; they must not have moved since the stamp.
        """
        if loaded.error is not None:
            return None
        if not self.policy.wanted(loaded.value):
            return "condition"
        names = self.policy.result_tags(loaded.value)
        if names:
            late = self.machine.store.stamp(names)
            capture.note_stamp(late)
            if self.machine.store.shares:
                capture.note_late(late)
            if any(version > stamp.counter for _, version in late.vector):
                return "changed_meanwhile"
        return None

    def _say_unstorable(self, error: ValueNotStorableError) -> None:
        self.tally.refuse("unstorable")
        once(
            "unstorable",
            self.tally.name,
            "%s is not cached: %s",
            self.tally.name,
            str(error),
        )

    def _store(self, op: Store) -> str | None:
        return self._done(self._keeping(op))

    def _keeping(self, op: Store) -> Asking[str | None]:
        key = _settled(op.key) if self.scene.key else op.key
        capture = self._capture
        refused = yield from self.machine.store.keep(
            key,
            op.entry,
            self._guard,
            late=() if capture is None else capture.late,
            noted=self._noted,
            given=self.given,
        )
        if refused:
            self.tally.refuse(refused)
        elif self.anew:
            yield from self.machine.store.replacing(key)
        return refused

    def _land(self, op: Land) -> None:
        self._done(landing(self, op))

    def _refresh(self, op: Refresh) -> bool:
        if self.scene.session is not None or self.policy.varies:
            return False
        return refresh(self, op)

    _deeds: ClassVar[dict[type[Any], Callable[[Any, Any], Any]]] = {
        Fetch: _fetch,
        Board: _board,
        Await: _await,
        TakeStamp: _take_stamp,
        Load: _load,
        Seal: _seal,
        Store: _store,
        Land: _land,
        Refresh: _refresh,
    }
    _asked: ClassVar[dict[type[Any], Callable[[Any, Any], Asking[Any]]]] = {
        Fetch: _fetching,
        TakeStamp: _stamping,
        Store: _keeping,
        Board: boarding,
        Land: landing,
    }
    """Those that take asking where processes share the store."""


def _settled(key: Any) -> Hashable:
    """
    Give the key that later calls will have: a database may have said who it is.
    """
    return tuple(
        part
        for item in key
        for part in (item.settled() if hasattr(item, "settled") else (item,))
    )


def examine_call(values: Iterable[object]) -> Scene:
    """
    Tell what surrounds a call, tracking SQLAlchemy from now on if it is there.
    """
    install_integrations()
    return examine(values)


def forbidden(entry: Entry) -> bool:
    """
    Tell whether an entry may not be served right here, right now.
    """
    return not holds(entry.vector) or open_transaction(entry.vector)

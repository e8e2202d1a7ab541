"""
A statement that isn't stored: wait for whoever loads it, or load and keep it.

Who leads a flight reads its rows ahead while others wait, up to the limits of a
recording. If nobody waits the rows are taken down as the caller fetches them, and
the flight drifts: a result in its caller's hands may stay there for long, so nobody
is made to wait for it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from yokedcache.core.entry import Entry
from yokedcache.core.flights import Flight, Role, Seat
from yokedcache.core.freshness import Verdict
from yokedcache.core.operations import (
    Await,
    Board,
    Fetch,
    Found,
    Land,
    Load,
    Loaded,
    Seal,
    Sealed,
    Store,
    TakeStamp,
)
from yokedcache.core.plans import answer_statement
from yokedcache.core.snapshots import FRESH
from yokedcache.core.values import weigh
from yokedcache.runtime.drive import Journey, run
from yokedcache.runtime.log import own_fault
from yokedcache.sqlalchemy.answers.driver import in_greenlet, performer
from yokedcache.sqlalchemy.answers.fitness import holds_connection
from yokedcache.sqlalchemy.answers.playing import Kept
from yokedcache.sqlalchemy.contexts.varying import misplaced
from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.databases.several import refusal
from yokedcache.sqlalchemy.functions.reads import unstorable
from yokedcache.sqlalchemy.statements.called import run_by
from yokedcache.sqlalchemy.statements.rewriting import differs
from yokedcache.sqlalchemy.transactions.holders import existing
from yokedcache.sqlalchemy.transactions.snapshots import before_statement, view

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from sqlalchemy.engine import Connection

    from yokedcache.core.operations import Op
    from yokedcache.core.plans import Answer
    from yokedcache.core.snapshots import View
    from yokedcache.core.tags import Stamp
    from yokedcache.sqlalchemy.answers.answering import SessionAnswerer
    from yokedcache.sqlalchemy.answers.rows import Recording
    from yokedcache.sqlalchemy.answers.statement_calls import Hit, StatementCall
    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState

_STOPS: Final[frozenset[type[Op[Any]]]] = frozenset({TakeStamp, Load})
"""Where SQLAlchemy goes on: before the statement is sent, and while rows are fetched."""

_TOO_LONG: Final = frozenset({"too_many_rows", "too_large"})

_unshared: WeakSet[Any] = WeakSet()
"""Compiled statements whose results grew past the limits: nobody waits for those."""


class _Abandoned(Exception):  # noqa: N818 - a signal to the plan
    """
    The statement failed, or was cancelled; its caller knows.
    """


class StatementMiss:
    """
    A statement under way: drives `answer_statement` around its execution.
    """

    def __init__(
        self,
        answerer: SessionAnswerer,
        call: StatementCall,
        analysis: Analysis,
        key: Hashable,
        seen: View | None,
        *,
        suspect: Entry | None = None,
        ticket: int = 0,
        allowance: Any = None,
    ) -> None:
        self._machine = machine = answerer.attachment.machine
        self._here = (allowance or machine.store.allowance()).here
        self.max_rows = machine.settings.max_rows
        self.max_bytes = machine.settings.max_recording
        self._tally = answerer.tally
        self._answerer = answerer
        self.first = seen is None  # asked of the database, to make a snapshot
        self._fresh = seen is FRESH and suspect is None
        self._view = FRESH
        self._call: StatementCall | None = call
        self._analysis = analysis
        self._reads = analysis.reads
        self._rewrites = answerer.rewrites
        self._dialect = call.engine.dialect
        self._key = key
        self._ttl, self._tags = answerer.wishes(call)
        self._sent = (call.prepared.sql, call.prepared.parameters)
        self._compiled = call.prepared.compiled
        self._suspect = suspect
        """What is to be compared with what the database says."""
        self._ticket = ticket
        self._shares = self._looked_up = False
        self._seat: Seat | None = None
        self._drifting: Seat | None = None
        self._began = 0.0
        self._refused: str | None = None
        self._state: ConnectionState | None = None
        self._names: tuple[str, ...] = ()
        self._journey: Journey[Answer] | None = None

    @property
    def under_way(self) -> bool:
        """
        Tell whether rows would be stored now.
        """
        return self._journey is not None and self._journey.at is not None

    @property
    def flight(self) -> Flight | None:
        """
        The flight that is led while the statement runs.
        """
        seat = self._seat
        return None if seat is None or seat.role is not Role.LEAD else seat.flight

    def join(self) -> Hit | None:
        """
        Wait for another's execution of the same statement, if that is right.
        """
        call = self._call
        if call is None:  # pragma: no cover - asked once, before the connection
            return None
        self._shares = (
            self._fresh
            and self._compiled not in _unshared
            and not holds_connection(call.session, call.bind)
        )
        entry = self._set_out()
        if entry is None:
            return None
        hit = self._answerer.joined(call, entry)
        if isinstance(hit, str):
            self._refused = hit
            return None
        return hit

    def before_read(self, connection: Connection) -> None:
        """
        Take the versions: nothing was read yet (rule 1).
        """
        self._began = self._machine.clock()
        database = database_of(connection.dialect)
        call, self._call = self._call, None
        state = self._state = existing(connection.connection)
        if state is not None:  # what is asked of the database may make its snapshot
            before_statement(connection, state, self._analysis)
        if not database.known and call is not None:
            database.learn(connection.connection)
            self._key = self._answerer.key_of(call)
        catalogue = database.catalogue
        if self._refused is None:
            self._refused = (
                "untracked"
                if state is None
                else refusal(database, self._machine)
                or unstorable(
                    connection,
                    state,
                    self._analysis,
                    varied=self._rewrites is not None,
                )
            )
        if self._refused is None and call is not None:
            self._refused = misplaced(self._answerer.attachment, call, connection)
        if self._refused is None and self._rewrites is not None:
            self._reads |= self._rewrites.tables(self._key)
            self._refused = database.readable(self._reads)
        if self._journey is None:
            self._set_out()
        if self._refused is not None or state is None:
            self._end_with_nothing()
            return
        self._view = view(connection, state, self._machine.store)
        self._names = (*database.tags_read(self._reads, catalogue), *self._tags)
        self._pass_on(self._stamped)
        if database.catalogue is not catalogue:
            # what lies behind the names may be something else by now
            self._refused = "changed_meanwhile"
            self._end_with_nothing()

    def ahead(self, size: int) -> int:
        """
        Say how many rows to fetch at a time without waiting for the caller: `size` or 0.
        """
        flight, seat = self.flight, self._seat
        if flight is None or seat is None or flight.landed:
            return 0  # a refusal has landed it already
        if not self._machine.terminal.drift(seat):
            return size
        self._drifting = seat
        return 0

    def resume(self) -> None:
        """
        Learn that the caller fetches all remaining rows now.
        """
        if self._drifting is not None:
            self._machine.terminal.resume(self._drifting)

    def complete(self, recording: Recording, sql: str, parameters: Any) -> None:
        """
        Store the rows, if the cursor was sent what the key says.
        """
        journey, state = self._journey, self._state
        if journey is None or journey.at is None or state is None:
            self.abandon(self._refused or "untracked")
        elif reason := self._rewritten(sql, parameters, state.database):
            self.abandon(reason)
        elif state.touches(self._reads):
            self.abandon("dirty")
        else:
            self._compare(recording)
            self._tally.loads += 1
            cost = self._machine.clock() - self._began
            journey.go_on(Loaded(recording, cost=cost))
            if journey.result is not None and journey.result.refused:
                self._tally.refuse(journey.result.refused)

    def _compare(self, recording: Recording) -> None:
        suspect = self._suspect
        if suspect is not None and self._view.same(suspect.vector):
            self._answerer.audit.compare(self._sent[0], suspect, recording)

    def _rewritten(self, sql: str, parameters: Any, database: Database) -> str | None:
        reason = run_by(database, sql)
        if reason or not differs(self._sent, sql, parameters, database.dialect_name):
            return reason
        if self._rewrites is None:
            return "rewritten"
        return self._rewrites.confirm(self._key, self._dialect, sql, parameters)

    def abandon(self, reason: str) -> None:
        """
        Count an answer that isn't stored, and free those who wait for it.
        """
        journey = self._journey
        waited = self._call is not None and journey is not None and journey.at is None
        if not waited:
            self._tally.loads += 1
            self._tally.refuse(reason)
        if reason in _TOO_LONG:
            _unshared.add(self._compiled)
        if journey is None or journey.at is None:
            return
        if reason == "error":
            with suppress(_Abandoned):
                journey.fail(_Abandoned())
        else:
            self._refused = reason
            self._end_with_nothing()

    def perform(self, op: Op[Any]) -> Any:
        """
        Do an operation in the calling thread.
        """
        return _PERFORM[type(op)](self, op)

    def begin(self, op: Op[Any]) -> Awaitable[Any] | None:
        """
        Begin an operation that waits in the event loop; `None` for the others.
        """
        if type(op) is Await:
            return self._machine.terminal.wait_async(op.flight)
        return None

    def _set_out(self) -> Entry | None:
        """
        Follow the plan to where the statement is sent, or to what another one brought.
        """
        if self._shares and not self._ticket:
            self._ticket = self._machine.terminal.ticket()
        plan = answer_statement(self._key, (), ticket=self._ticket)
        journey = self._journey = Journey(plan, performer(self), _STOPS)
        try:
            journey.go_on()
        except Exception as error:  # noqa: BLE001 - a cache never fails the query
            self._refused = "internal_error"
            own_fault(error, "a flight")
            return None
        return None if journey.result is None else journey.result.entry

    def _pass_on(self, deed: Callable[[TakeStamp], Any]) -> None:
        journey = self._journey
        if journey is not None and isinstance(journey.at, TakeStamp):
            journey.go_on(deed(journey.at))

    def _end_with_nothing(self) -> None:
        """
        Follow the plan to its end: nobody else may have what is loaded.
        """
        self._pass_on(lambda _: self._machine.store.stamp(()))
        journey = self._journey
        if journey is not None and journey.at is not None:
            journey.go_on(Loaded())

    def _fetch(self, _: Fetch) -> Found:
        entry = None
        if self._looked_up:  # else nothing was there a moment ago
            self._key = self._settled()
            asking = self._machine.store.look(
                self._key, self._ticket, owner=self._tally
            )
            entry = run(asking, self._here)
        self._looked_up = True
        fresh = entry is not None and self._answerer.fresh(entry, self._ttl)
        return Found(entry, Verdict.FRESH) if fresh else Found(None, Verdict.GONE)

    def _board(self, _: Board) -> Seat:
        self._seat = None
        if not self._shares:
            return Seat(Role.ALONE)
        call = self._call
        once = None if call is None else self._answerer.once_key_of(call)
        self._seat = seat = self._machine.terminal.board(
            self._settled(),
            blocking=not in_greenlet(),
            may_lead=True,
            may_wait=True,
            once=once,
        )
        if seat.role is Role.LEAD:
            # between look-up and boarding another flight may have landed
            entry = self._machine.store.near(self._settled(), self._ticket)
            if entry is not None and self._answerer.fresh(entry, self._ttl):
                self._seat = seat = self._machine.terminal.stand_down(seat)
        return seat

    def _settled(self) -> Hashable:
        return self._key if self._call is None else self._answerer.key_of(self._call)

    def _await(self, op: Await) -> Sealed | None:
        return self._machine.terminal.wait(op.flight)

    def _stamped(self, op: TakeStamp) -> Stamp:
        if op.seat is not None:
            self._machine.terminal.take_off(op.seat)
        return run(self._machine.store.take(self._names, self._key), self._here)

    def _seal(self, op: Seal) -> Sealed:
        if self._refused is not None:
            return Sealed(None, refused=self._refused, private=True)
        recording: Recording = op.loaded.value
        entry = Entry(
            Kept(recording),
            copier=None,
            vector=op.stamp.vector,
            born=self._machine.clock(),
            cost=op.loaded.cost,
            lifetime=self._machine.lifetime(self._ttl),
            weight=weigh(recording.rows),
        )
        entry.owner, entry.proven = self._tally, self._machine.store.unproven
        fenced = "commit_in_flight" if op.stamp.fenced else None
        refused = fenced or self._view.unstorable(op.stamp)
        return Sealed(entry, refused=refused, private=self._view is not FRESH)

    def _store(self, op: Store) -> str | None:
        refused = run(self._machine.store.keep(self._key, op.entry), self._here)
        if refused is None:
            self._answerer.hot.stored(op.entry)
        return refused

    def _land(self, op: Land) -> None:
        self._machine.terminal.land(op.seat, op.sealed)


_PERFORM: dict[type[Any], Callable[[StatementMiss, Any], Any]] = {
    Fetch: StatementMiss._fetch,
    Board: StatementMiss._board,
    Await: StatementMiss._await,
    Seal: StatementMiss._seal,
    Store: StatementMiss._store,
    Land: StatementMiss._land,
}

"""
The plans, against a scripted host: a list of expected operations and answers.

No store, no clock, no thread: what is tested is what the plans ask for, in which
order, and what they make of the answers.
"""

from __future__ import annotations

from typing import Any

import pytest

from yokedcache.core import operations as ops
from yokedcache.core.entry import Entry, Lifetime
from yokedcache.core.flights import Flight, Role, Seat
from yokedcache.core.freshness import Verdict
from yokedcache.core.operations import (
    Await,
    Board,
    Commit,
    Fetch,
    Found,
    KeepFence,
    Land,
    LiftFence,
    Load,
    Loaded,
    PutFence,
    Refresh,
    Seal,
    Sealed,
    Store,
    TakeStamp,
)
from yokedcache.core.plans import Answer, announce, answer_call, answer_statement
from yokedcache.core.tags import Fence, Stamp

ENTRY = Entry(
    "stored",
    copier=None,
    vector=(),
    born=0.0,
    cost=0.0,
    lifetime=Lifetime(10.0),
    weight=1,
)
NEWER = Entry(
    "loaded",
    copier=None,
    vector=(),
    born=0.0,
    cost=0.0,
    lifetime=Lifetime(10.0),
    weight=1,
)
NOTHING = Found(None, Verdict.GONE)
STAMP = Stamp((), 0, fenced=False)
LOADED = Loaded("loaded")
SEALED = Sealed(NEWER)
ALONE = Seat(Role.ALONE)
FENCE = Fence(())


class Cancelled(BaseException):
    """
    Something that no plan may swallow.
    """


Script = list[tuple[type[ops.Op[Any]], Any]]


def run(plan: ops.Plan[Any], script: Script) -> Any:
    """
    Drive a plan through a script to its end.
    """
    op: Any = next(plan)
    for number, (kind, answer) in enumerate(script):
        assert type(op) is kind, f"step {number}: {type(op).__name__}"
        last = number == len(script) - 1
        try:
            thrown = isinstance(answer, BaseException)
            op = plan.throw(answer) if thrown else plan.send(answer)
        except StopIteration as stop:
            assert last, f"it ended at step {number}"
            return stop.value
    pytest.fail(f"it goes on with {type(op).__name__}")


def leading() -> Seat:
    return Seat(Role.LEAD, Flight("k", 1))


def waiting(*, landed: bool = True, sealed: Sealed | None = None) -> Seat:
    flight = Flight("k", 1)
    flight.landed, flight.sealed = landed, sealed
    return Seat(Role.WAIT, flight)


def call(*, ticket: int = 1, force: bool = False) -> ops.Plan[Answer]:
    return answer_call("k", ("t",), ticket=ticket, force=force)


def load(seat: Seat, *, refused: str | None = None) -> Script:
    flown: Script = [(Land, None)] if seat.role is Role.LEAD else []
    return [
        (TakeStamp, STAMP),
        (Load, LOADED),
        (Seal, SEALED),
        (Store, refused),
        *flown,
    ]


def test_a_fresh_entry_answers() -> None:
    answer = run(call(), [(Fetch, Found(ENTRY, Verdict.FRESH))])
    assert (answer.how, answer.entry) == ("hit", ENTRY)


@pytest.mark.parametrize("seat", [leading(), ALONE])
def test_a_miss_loads_stores_and_lands(seat: Seat) -> None:
    answer = run(call(), [(Fetch, NOTHING), (Board, seat), *load(seat)])
    assert (answer.how, answer.loaded, answer.entry) == ("miss", LOADED, NEWER)
    assert answer.refused is None


def test_what_the_store_refuses_is_still_answered() -> None:
    seat = leading()
    script = [(Fetch, NOTHING), (Board, seat), *load(seat, refused="too_large")]
    answer = run(call(), script)
    assert (answer.loaded, answer.refused) == (LOADED, "too_large")


def test_what_was_refused_at_the_seal_is_not_sent_to_the_store() -> None:
    seat = leading()
    sealed = Sealed(NEWER, refused="commit_in_flight")
    script: Script = [
        (Fetch, NOTHING),
        (Board, seat),
        (TakeStamp, STAMP),
        (Load, LOADED),
        (Seal, sealed),
        (Land, None),
    ]
    assert run(call(), script).refused == "commit_in_flight"


@pytest.mark.parametrize("verdict", [Verdict.STALE, Verdict.EARLY])
class TestStale:
    def test_who_leads_hands_the_refresh_over(self, verdict: Verdict) -> None:
        script: Script = [
            (Fetch, Found(ENTRY, verdict)),
            (Board, leading()),
            (Refresh, True),
        ]
        answer = run(call(), script)
        assert (answer.how, answer.entry) == ("stale", ENTRY)

    def test_who_must_refresh_itself_loads(self, verdict: Verdict) -> None:
        seat = leading()
        script = [
            (Fetch, Found(ENTRY, verdict)),
            (Board, seat),
            (Refresh, False),
            *load(seat),
        ]
        assert run(call(), script).loaded is LOADED

    @pytest.mark.parametrize("seat", [waiting(landed=False), ALONE])
    def test_all_others_take_it_as_it_is(self, verdict: Verdict, seat: Seat) -> None:
        script: Script = [(Fetch, Found(ENTRY, verdict)), (Board, seat)]
        assert run(call(), script).how == "stale"

    def test_a_refresh_that_can_not_begin_lands(self, verdict: Verdict) -> None:
        plan = call()
        script: Script = [
            (Fetch, Found(ENTRY, verdict)),
            (Board, leading()),
            (Refresh, RuntimeError("no more threads")),
            (Land, None),
        ]
        with pytest.raises(RuntimeError, match="no more threads"):
            run(plan, script)

    def test_a_forced_call_loads(self, verdict: Verdict) -> None:
        seat = leading()
        script = [(Fetch, Found(ENTRY, verdict)), (Board, seat), *load(seat)]
        assert run(call(force=True), script).how == "miss"


class TestWaiting:
    def test_who_waited_takes_what_the_flight_brought(self) -> None:
        seat = waiting(sealed=SEALED)
        script: Script = [(Fetch, NOTHING), (Board, seat), (Await, SEALED)]
        answer = run(call(), script)
        assert (answer.how, answer.entry) == ("joined", NEWER)

    def test_who_waited_for_a_failure_takes_over(self) -> None:
        seat = leading()
        script = [
            (Fetch, NOTHING),
            (Board, waiting()),
            (Await, None),
            (Fetch, NOTHING),
            (Board, seat),
            *load(seat),
        ]
        assert run(call(), script).how == "miss"

    def test_who_waited_may_find_the_answer_stored(self) -> None:
        script: Script = [
            (Fetch, NOTHING),
            (Board, waiting()),
            (Await, None),
            (Fetch, Found(ENTRY, Verdict.FRESH)),
        ]
        assert run(call(), script).how == "hit"

    @pytest.mark.parametrize(
        "seat",
        [waiting(sealed=Sealed(NEWER, private=True)), waiting(landed=False)],
        ids=["private", "never landed"],
    )
    def test_nobody_waits_again_for_what_can_not_be_shared(self, seat: Seat) -> None:
        assert seat.flight is not None
        script = [
            (Fetch, NOTHING),
            (Board, seat),
            (Await, seat.flight.sealed),
            (Fetch, NOTHING),
            *load(ALONE),
        ]
        assert run(call(), script).how == "miss"

    def test_nobody_waits_for_a_third_flight(self) -> None:
        script = [
            (Fetch, NOTHING),
            (Board, waiting()),
            (Await, None),
            (Fetch, NOTHING),
            (Board, waiting()),
            (Await, None),
            (Fetch, NOTHING),
            *load(ALONE),
        ]
        assert run(call(), script).how == "miss"

    def test_who_came_after_the_versions_were_taken_needs_them_to_hold(
        self, tag_names: tuple[str, ...] = ("t",)
    ) -> None:
        from yokedcache.core.tags import TagTable

        tags = TagTable()
        entry = Entry(
            "old",
            copier=None,
            vector=tags.stamp(tag_names).vector,
            born=0.0,
            cost=0.0,
            lifetime=Lifetime(10.0),
            weight=1,
        )
        tags.bump(tag_names)
        sealed = Sealed(entry)
        early, late, seat = waiting(sealed=sealed), waiting(sealed=sealed), leading()
        assert early.flight is not None
        assert late.flight is not None
        early.flight.ticket = late.flight.ticket = 5
        joined: Script = [(Fetch, NOTHING), (Board, early), (Await, sealed)]
        assert run(call(ticket=4), joined).how == "joined"
        again = [
            (Fetch, NOTHING),
            (Board, late),
            (Await, sealed),
            (Fetch, NOTHING),
            (Board, seat),
            *load(seat),
        ]
        assert run(call(ticket=6), again).how == "miss"


class TestForced:
    def test_loads_over_a_fresh_entry(self) -> None:
        seat = leading()
        script = [(Fetch, Found(ENTRY, Verdict.FRESH)), (Board, seat), *load(seat)]
        assert run(call(force=True), script).loaded is LOADED

    def test_takes_a_flight_that_took_off_later(self) -> None:
        seat = waiting(sealed=SEALED)
        assert seat.flight is not None
        seat.flight.ticket = 2
        script: Script = [(Fetch, NOTHING), (Board, seat), (Await, SEALED)]
        assert run(call(ticket=1, force=True), script).how == "joined"

    def test_takes_nothing_that_was_loaded_before_it_was_asked(self) -> None:
        earlier, seat = waiting(sealed=SEALED), leading()
        assert earlier.flight is not None
        earlier.flight.ticket = 1
        script = [
            (Fetch, NOTHING),
            (Board, earlier),
            (Await, SEALED),
            (Fetch, Found(NEWER, Verdict.FRESH)),
            (Board, seat),
            *load(seat),
        ]
        assert run(call(ticket=2, force=True), script).how == "miss"


class TestFailure:
    def failed(self, seat: Seat, spare: Found) -> Script:
        return [
            (Fetch, NOTHING),
            (Board, seat),
            (TakeStamp, STAMP),
            (Load, Loaded(error=LookupError("gone"))),
            (Seal, Sealed(None)),
            *([(Land, None)] if seat.role is Role.LEAD else []),
            (Fetch, spare),
        ]

    @pytest.mark.parametrize("seat", [leading(), ALONE])
    @pytest.mark.parametrize(
        "verdict", [Verdict.FALLBACK, Verdict.STALE, Verdict.FRESH]
    )
    def test_an_entry_at_hand_stands_in(self, seat: Seat, verdict: Verdict) -> None:
        answer = run(call(), self.failed(seat, Found(ENTRY, verdict)))
        assert (answer.how, answer.entry, answer.loaded) == ("fallback", ENTRY, None)

    @pytest.mark.parametrize("spare", [NOTHING, Found(ENTRY, Verdict.GONE)])
    def test_without_one_the_error_is_the_answer(self, spare: Found) -> None:
        answer = run(call(), self.failed(leading(), spare))
        assert isinstance(answer.loaded.error, LookupError)
        assert answer.entry is None


@pytest.mark.parametrize("at", [TakeStamp, Load, Seal, Store])
def test_a_leader_lands_wherever_it_is_cancelled(at: type[ops.Op[Any]]) -> None:
    seat, script = leading(), []
    for kind, answer in [(Fetch, NOTHING), (Board, seat), *load(seat)]:
        script.append((kind, Cancelled() if kind is at else answer))
        if kind is at:
            break
    plan = call()
    landed: list[Land] = []
    op: Any = next(plan)
    with pytest.raises(Cancelled):
        for kind, answer in [*script, (Land, None)]:
            assert type(op) is kind
            if isinstance(op, Land):
                landed.append(op)
            thrown = isinstance(answer, BaseException)
            op = plan.throw(answer) if thrown else plan.send(answer)
    assert [land.seat for land in landed] == [seat]
    assert (landed[0].sealed is None) is (at is not Store)


@pytest.mark.parametrize("at", [Fetch, Board, Await])
def test_who_does_not_lead_has_nothing_to_land(at: type[ops.Op[Any]]) -> None:
    plan = call()
    op: Any = next(plan)
    with pytest.raises(Cancelled):
        for kind, answer in [(Fetch, NOTHING), (Board, waiting()), (Await, None)]:
            assert type(op) is kind
            op = plan.throw(Cancelled()) if kind is at else plan.send(answer)


def test_a_load_that_raises_stop_iteration_is_not_taken_for_an_answer() -> None:
    plan, seat = call(), leading()
    script: Script = [
        (Fetch, NOTHING),
        (Board, seat),
        (TakeStamp, STAMP),
        (Load, StopIteration("a value")),
        (Land, None),
    ]
    with pytest.raises(RuntimeError, match="StopIteration"):
        run(plan, script)


class TestStatement:
    def test_a_fresh_entry_answers(self) -> None:
        plan = answer_statement("k", ("t",))
        assert run(plan, [(Fetch, Found(ENTRY, Verdict.FRESH))]).how == "hit"

    @pytest.mark.parametrize(
        "found", [NOTHING, Found(ENTRY, Verdict.STALE), Found(ENTRY, Verdict.EARLY)]
    )
    def test_anything_else_loads_without_a_flight(self, found: Found) -> None:
        script = [(Fetch, found), *load(ALONE)]
        assert run(answer_statement("k", ("t",)), script).how == "miss"

    def test_a_cancelled_one_leaves_nothing_behind(self) -> None:
        plan = answer_statement("k", ("t",))
        script: Script = [(Fetch, NOTHING), (TakeStamp, STAMP), (Load, Cancelled())]
        with pytest.raises(Cancelled):
            run(plan, script)


class TestAnnounce:
    def test_a_commit_is_fenced_on_both_sides(self) -> None:
        script: Script = [(PutFence, FENCE), (Commit, "done"), (LiftFence, None)]
        assert run(announce(("t",)), script) == "done"

    @pytest.mark.parametrize("error", [OSError(), Cancelled(), KeyboardInterrupt()])
    def test_an_unknown_outcome_keeps_the_fence(self, error: BaseException) -> None:
        plan = announce(("t",))
        fence = next(plan)
        assert isinstance(fence, PutFence)
        assert fence.names == ("t",)
        plan.send(FENCE)
        keep = plan.throw(error)
        assert isinstance(keep, KeepFence)
        assert keep.fence is FENCE
        with pytest.raises(type(error)):
            plan.send(None)

    def test_without_a_fence_there_is_no_commit(self) -> None:
        with pytest.raises(OSError, match="unreachable"):
            run(announce(("t",)), [(PutFence, OSError("unreachable"))])

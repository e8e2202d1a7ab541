"""
Plans that are cut off, statements and commits, against a scripted host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.core.scripted import (
    ALONE,
    ENTRY,
    FENCE,
    NEWER,
    NOTHING,
    SEALED,
    STAMP,
    Cancelled,
    Script,
    call,
    leading,
    load,
    make,
    run,
    waiting,
)
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
    Plan,
    PutFence,
    Seal,
    Sealed,
    Store,
    TakeStamp,
)
from yokedcache.core.plans import Answer, announce, answer_statement
from yokedcache.core.tags import TagTable

if TYPE_CHECKING:
    from yokedcache.core import operations as ops
    from yokedcache.core.flights import Seat


@pytest.mark.parametrize("at", [TakeStamp, Load, Seal, Store])
def test_a_leader_lands_wherever_it_is_cancelled(at: type[ops.Op[Any]]) -> None:
    seat, script = leading(), []
    for kind, answer in [(Fetch, NOTHING), (Board, seat), *load(seat)]:
        script.append((kind, Cancelled() if kind is at else answer))
        if kind is at:
            break
    asked: list[ops.Op[Any]] = []
    with pytest.raises(Cancelled):
        run(call(), [*script, (Land, None)], asked)
    land = asked[-1]
    assert isinstance(land, Land)
    assert land.seat is seat
    assert (land.sealed is None) is (at is not Store)


@pytest.mark.parametrize("at", [Fetch, Board, Await])
def test_who_does_not_lead_has_nothing_to_land(at: type[ops.Op[Any]]) -> None:
    script: Script = [(Fetch, NOTHING), (Board, waiting()), (Await, None)]
    cut = [kind for kind, _ in script].index(at)
    asked: list[ops.Op[Any]] = []
    with pytest.raises(Cancelled):
        run(call(), [*script[:cut], (at, Cancelled())], asked)
    assert type(asked[-1]) is at


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


def statement(*, ticket: int = 1) -> Plan[Answer]:
    return answer_statement("k", (), ticket=ticket)


class TestStatement:
    def test_a_fresh_entry_answers(self) -> None:
        answer = run(statement(), [(Fetch, Found(ENTRY, Verdict.FRESH))])
        assert (answer.how, answer.entry) == ("hit", ENTRY)

    @pytest.mark.parametrize("seat", [leading(), ALONE], ids=["leading", "alone"])
    @pytest.mark.parametrize(
        "found", [NOTHING, Found(ENTRY, Verdict.STALE), Found(ENTRY, Verdict.EARLY)]
    )
    def test_anything_else_loads(self, found: Found, seat: Seat) -> None:
        script = [(Fetch, found), (Board, seat), *load(seat)]
        assert run(statement(), script).how == "miss"

    def test_who_waited_takes_what_the_flight_brought(self) -> None:
        seat = waiting(sealed=SEALED)
        script: Script = [(Fetch, NOTHING), (Board, seat), (Await, SEALED)]
        answer = run(statement(), script)
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
        assert run(statement(), script).how == "miss"

    @pytest.mark.parametrize(
        "seat",
        [waiting(sealed=Sealed(None, private=True)), waiting(landed=False)],
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
        assert run(statement(), script).how == "miss"

    def test_nobody_waits_for_a_third_flight(self) -> None:
        waits: Script = [(Fetch, NOTHING), (Board, waiting()), (Await, None)]
        script = [*waits, *waits, (Fetch, NOTHING), *load(ALONE)]
        assert run(statement(), script).how == "miss"

    def test_who_came_after_a_commit_needs_versions_that_hold(self) -> None:
        tags = TagTable()
        sealed = Sealed(make("old", tags.stamp(["t"]).vector))
        tags.bump(["t"])
        early, late, seat = waiting(sealed=sealed), waiting(sealed=sealed), leading()
        assert early.flight is not None
        assert late.flight is not None
        early.flight.ticket = late.flight.ticket = 5
        joined: Script = [(Fetch, NOTHING), (Board, early), (Await, sealed)]
        assert run(statement(ticket=4), joined).how == "joined"
        again = [
            (Fetch, NOTHING),
            (Board, late),
            (Await, sealed),
            (Fetch, NOTHING),
            (Board, seat),
            *load(seat),
        ]
        assert run(statement(ticket=6), again).how == "miss"

    def test_a_cancelled_leader_lands(self) -> None:
        script: Script = [
            (Fetch, NOTHING),
            (Board, leading()),
            (TakeStamp, STAMP),
            (Load, Cancelled()),
            (Land, None),
        ]
        with pytest.raises(Cancelled):
            run(statement(), script)

    def test_a_cancelled_waiter_leaves_nothing_behind(self) -> None:
        script: Script = [(Fetch, NOTHING), (Board, waiting()), (Await, Cancelled())]
        with pytest.raises(Cancelled):
            run(statement(), script)


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

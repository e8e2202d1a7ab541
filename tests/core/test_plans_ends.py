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
    NOTHING,
    STAMP,
    Cancelled,
    Script,
    call,
    leading,
    load,
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
    PutFence,
    Seal,
    Store,
    TakeStamp,
)
from yokedcache.core.plans import announce, answer_statement

if TYPE_CHECKING:
    from yokedcache.core import operations as ops


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

"""
The plan of a call, against a scripted host.

No store, no clock, no thread: what is tested is what the plan asks for, in which
order, and what it makes of the answers.
"""

from __future__ import annotations

import pytest

from tests.core.scripted import (
    ALONE,
    ENTRY,
    LOADED,
    NEWER,
    NOTHING,
    SEALED,
    STAMP,
    Script,
    call,
    leading,
    load,
    make,
    run,
    waiting,
)
from yokedcache.core.flights import Role, Seat
from yokedcache.core.freshness import Verdict
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
    TakeStamp,
)
from yokedcache.core.tags import TagTable


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

    def test_who_came_after_the_versions_were_taken_needs_them_to_hold(self) -> None:
        tags = TagTable()
        sealed = Sealed(make("old", tags.stamp(["t"]).vector))
        tags.bump(["t"])
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


def test_a_refresh_is_handed_the_tags_of_the_call() -> None:
    plan, seat = call(), leading()
    next(plan)
    plan.send(Found(ENTRY, Verdict.STALE))
    refresh = plan.send(seat)
    assert isinstance(refresh, Refresh)
    assert (refresh.key, refresh.tags, refresh.seat) == ("k", ("t",), seat)
    with pytest.raises(StopIteration):
        plan.send(True)

"""
Who leads, who waits, who goes alone, and who may have what a flight brought.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yokedcache.core.entry import Entry, Lifetime
from yokedcache.core.flights import Caller, Flight, FlightTable, Role, Seat
from yokedcache.core.operations import Sealed
from yokedcache.core.tags import TagTable

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE, THERE = 1, 2


def sealed(tags: TagTable, names: Iterable[str] = ("t",)) -> Sealed:
    entry = Entry(
        1,
        copier=None,
        vector=tags.stamp(names).vector,
        born=0.0,
        cost=0.0,
        lifetime=Lifetime(1.0),
        weight=1,
    )
    return Sealed(entry)


def task(*chain: Flight, thread: int = HERE) -> Caller:
    return Caller(thread, blocking=False, chain=chain)


def blocking(*chain: Flight, thread: int = HERE) -> Caller:
    return Caller(thread, blocking=True, chain=chain)


def flight_of(seat: Seat) -> Flight:
    assert seat.flight is not None
    return seat.flight


def test_one_leads_the_others_wait() -> None:
    table = FlightTable()
    leader = table.board("k", task())
    waiter = table.board("k", task())
    assert (leader.role, waiter.role) == (Role.LEAD, Role.WAIT)
    assert waiter.flight is leader.flight
    assert table.board("other", task()).role is Role.LEAD


def test_after_the_landing_another_begins() -> None:
    table = FlightTable()
    first = flight_of(table.board("k", task()))
    table.land(first, None)
    assert first.landed
    assert not len(table)
    second = table.board("k", task())
    assert second.role is Role.LEAD
    assert second.flight is not first


def test_a_flight_that_lands_late_does_not_end_its_successor() -> None:
    table = FlightTable()
    first = flight_of(table.board("k", task()))
    table.land(first, None)
    second = flight_of(table.board("k", task()))
    table.land(first, None)
    assert table.board("k", task()).flight is second


def test_who_may_not_lead_goes_alone_and_keeps_nobody_from_leading() -> None:
    table = FlightTable()
    private = Caller(HERE, blocking=False, may_lead=False)
    assert table.board("k", private).role is Role.ALONE
    assert not len(table)
    assert table.board("k", task()).role is Role.LEAD
    assert table.board("k", private).role is Role.WAIT


def test_who_may_not_wait_goes_alone() -> None:
    table = FlightTable()
    table.board("k", task())
    holder = Caller(HERE, blocking=False, may_wait=False)
    assert table.board("k", holder).role is Role.ALONE


class TestNobodyWaitsWhoCouldBeWaitedFor:
    def test_a_blocking_caller_never_waits_for_its_own_thread(self) -> None:
        table = FlightTable()
        table.board("k", task(thread=HERE))
        assert table.board("k", blocking(thread=HERE)).role is Role.ALONE
        assert table.board("k", blocking(thread=THERE)).role is Role.WAIT

    def test_a_function_that_calls_itself_goes_alone(self) -> None:
        table = FlightTable()
        outer = flight_of(table.board("k", task()))
        assert table.board("k", task(outer)).role is Role.ALONE

    def test_a_circle_of_two_is_seen(self) -> None:
        table = FlightTable()
        f = flight_of(table.board("f", task()))
        g = flight_of(table.board("g", task()))
        assert table.board("g", task(f)).role is Role.WAIT
        f.waits.append(g)
        assert table.board("f", task(g)).role is Role.ALONE

    @pytest.mark.parametrize("size", [3, 10, 2_000])
    def test_a_circle_of_many_is_seen(self, size: int) -> None:
        table = FlightTable()
        flights = [flight_of(table.board(n, task())) for n in range(size)]
        for one, following in pairwise(flights):
            one.waits.append(following)
        assert table.board(0, task(flights[-1])).role is Role.ALONE
        assert table.board(size - 1, task(flights[0])).role is Role.WAIT

    def test_a_circle_that_does_not_go_through_the_caller_ends_the_search(self) -> None:
        table = FlightTable()
        f = flight_of(table.board("f", task()))
        g = flight_of(table.board("g", task()))
        f.waits.append(g)
        g.waits.append(f)
        assert table.board("f", task(Flight("h", HERE))).role is Role.WAIT

    @given(st.data())
    def test_no_order_of_boarding_closes_a_circle(self, data: st.DataObject) -> None:
        table = FlightTable()
        flights = {n: flight_of(table.board(n, task())) for n in range(6)}
        pairs = st.tuples(st.sampled_from(range(6)), st.sampled_from(range(6)))
        for one, other in data.draw(st.lists(pairs, max_size=20)):
            seat = table.board(other, task(flights[one]))
            if seat.role is Role.WAIT:
                flights[one].waits.append(flight_of(seat))
        for start in flights.values():
            reached, todo = set[Flight](), list(start.waits)
            while todo:
                flight = todo.pop()
                if flight not in reached:
                    reached.add(flight)
                    todo += flight.waits
            assert start not in reached


class TestWhomAFlightServes:
    def landed(self, table: FlightTable, outcome: Sealed | None) -> Flight:
        flight = flight_of(table.board("k", task()))
        table.take_off(flight)
        table.land(flight, outcome)
        return flight

    def test_everyone_while_its_versions_hold(self) -> None:
        table, tags = FlightTable(), TagTable()
        early = table.ticket()
        flight = self.landed(table, sealed(tags))
        assert flight.serves(early)
        assert flight.serves(table.ticket())

    def test_after_a_bump_only_those_who_came_before_it_took_off(self) -> None:
        table, tags = FlightTable(), TagTable()
        early = table.ticket()
        flight = self.landed(table, sealed(tags))
        late = table.ticket()
        tags.bump(["t"])
        assert flight.serves(early)
        assert not flight.serves(late)

    def test_under_a_fence_only_those_who_came_before_it_took_off(self) -> None:
        table, tags = FlightTable(), TagTable()
        early = table.ticket()
        fence = tags.fence(["t"])
        flight = self.landed(table, sealed(tags))
        late = table.ticket()
        assert flight.serves(early)
        assert not flight.serves(late)
        tags.lift(fence)
        assert not flight.serves(late)

    def test_nobody_who_came_after_its_key_was_removed(self) -> None:
        table, tags = FlightTable(), TagTable()
        early = table.ticket()
        outcome = sealed(tags)
        outcome.guard = tags.stamp([("key", "k")]).vector
        flight = self.landed(table, outcome)
        late = table.ticket()
        assert flight.serves(late)
        tags.bump([("key", "k")])
        assert flight.serves(early)
        assert not flight.serves(late)

    def test_who_wants_it_anew_only_if_they_came_before_it_took_off(self) -> None:
        table, tags = FlightTable(), TagTable()
        early = table.ticket()
        flight = self.landed(table, sealed(tags))
        assert flight.serves(early, anew=True)
        assert not flight.serves(table.ticket(), anew=True)

    @pytest.mark.parametrize("outcome", [None, Sealed(None)])
    def test_nobody_with_nothing(self, outcome: Sealed | None) -> None:
        table = FlightTable()
        early = table.ticket()
        assert not self.landed(table, outcome).serves(early)

    def test_nobody_with_what_is_private(self) -> None:
        table, tags = FlightTable(), TagTable()
        early = table.ticket()
        outcome = sealed(tags)
        outcome.private = True
        assert not self.landed(table, outcome).serves(early)

    def test_nobody_before_it_landed(self) -> None:
        table = FlightTable()
        early = table.ticket()
        flight = flight_of(table.board("k", task()))
        table.take_off(flight)
        assert not flight.serves(early)


def test_tickets_are_one_order() -> None:
    table = FlightTable()
    before = table.ticket()
    flight = flight_of(table.board("k", task()))
    assert flight.ticket is None
    table.take_off(flight)
    assert flight.ticket is not None
    assert before < flight.ticket < table.ticket()


class TestDrifting:
    def test_a_flight_that_nobody_waits_for_may_drift(self) -> None:
        table = FlightTable()
        seat = table.board("k", task())
        assert table.drift(seat)
        assert seat.role is Role.ALONE  # nothing to land, should it be dropped
        assert len(table) == 0
        assert table.board("k", task()).role is Role.LEAD

    def test_one_that_is_waited_for_may_not(self) -> None:
        table = FlightTable()
        seat = table.board("k", task())
        assert table.board("k", task()).role is Role.WAIT
        assert not table.drift(seat)
        assert seat.role is Role.LEAD
        assert table.flying("k") is seat.flight

    def test_who_goes_alone_keeps_no_flight_from_drifting(self) -> None:
        table = FlightTable()
        seat = table.board("k", blocking())
        assert table.board("k", blocking()).role is Role.ALONE
        assert table.drift(seat)

    def test_one_that_picks_up_again_is_waited_for(self) -> None:
        table = FlightTable()
        seat = table.board("k", task())
        table.drift(seat)
        table.resume(seat, THERE)
        assert seat.role is Role.LEAD
        assert flight_of(seat).thread == THERE
        assert table.board("k", task()).flight is seat.flight
        table.land(flight_of(seat), None)
        assert len(table) == 0

    def test_it_takes_nobodys_place(self) -> None:
        table = FlightTable()
        first = table.board("k", task())
        table.drift(first)
        second = table.board("k", task())
        table.resume(first, HERE)
        assert table.flying("k") is second.flight
        table.land(flight_of(first), None)
        assert table.flying("k") is second.flight

    def test_one_that_landed_stays_on_the_ground(self) -> None:
        table = FlightTable()
        seat = table.board("k", task())
        table.drift(seat)
        table.land(flight_of(seat), None)
        table.resume(seat, HERE)
        assert len(table) == 0


def test_a_flight_is_met_under_what_its_key_was_once() -> None:
    table = FlightTable()
    flight = flight_of(table.board("once", task()))
    assert table.board("k", task(), once="once").flight is flight
    table.land(flight, None)
    assert table.board("k", task(), once="once").role is Role.LEAD
    assert table.flying("once") is None

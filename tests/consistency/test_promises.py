"""
What is promised in each cell, and what breaks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consistency.events import BEGUN, BROKEN, REFUSED, UNANSWERED, WRITE, Event
from consistency.excuses import TOLD_AFTER
from consistency.nemeses import NEMESES, Strike
from consistency.promises import SLOWEST, Promise, breaches, find, promise

if TYPE_CHECKING:
    from collections.abc import Sequence

READ, SECOND = 1, 10**9
STRICT, BOUNDED, REFUSING = Promise(), Promise(bounded=True), Promise(refusals=True)
VICTIM, OTHER = 0, 1
STRIKE = Strike(1 * SECOND, 3 * SECOND, VICTIM)
TTL = 5.0
"""So what the victim wrote may be missed for seven seconds."""


def write(value: int, at: float, process: int = VICTIM) -> Event:
    moment = int(at * SECOND)
    return Event(1, value, moment - 1, moment, process=process, way=WRITE)


def read(value: int, at: float) -> Event:
    moment = int(at * SECOND)
    return Event(1, value, moment, moment + 1, process=2, way=READ)


def marked(way: int, at: float = 2.0) -> Event:
    return write(0, at)._replace(way=way)


def broken(
    promised: Promise, *history: Event, strikes: Sequence[Strike] = (STRIKE,)
) -> list[str]:
    return breaches(promised, find(history, strikes), ttl=TTL)


def test_hole_22_only_one_cut_off_that_commits_all_the_same_is_excused() -> None:
    bounded = {
        (name, setting)
        for name, nemesis in NEMESES.items()
        for setting in ("commit", "refuse")
        if promise(nemesis, setting).bounded
    }
    assert bounded == {
        (name, "commit") for name in ("cut_one", "black_hole_one", "late_one")
    }
    assert promise(NEMESES["stopped"], "refuse") == REFUSING
    assert promise(NEMESES["stopped"], "commit") == STRICT
    near = promise(NEMESES["near_cut"], "commit")
    assert (near, str(near)) == (Promise(near=0.1), "0 stale by more than 0.1 s")


@pytest.mark.parametrize("promised", [STRICT, BOUNDED, REFUSING])
def test_history_in_which_nothing_went_wrong(promised: Promise) -> None:
    assert broken(promised, write(1, 2.0), read(1, 2.1), read(1, 9.0)) == []


@pytest.mark.parametrize("promised", [STRICT, REFUSING])
def test_stale_read_is_never_excused_by_a_fault(promised: Promise) -> None:
    assert broken(promised, write(1, 2.0), read(0, 2.1)) == ["1 stale reads"]


def test_row_that_goes_back_is_not_excused_either() -> None:
    assert broken(STRICT, read(1, 2.1), read(0, 2.2))[0] == "1 reads that went back"


def test_what_the_victim_wrote_may_be_missed_for_so_long() -> None:
    assert broken(BOUNDED, write(1, 2.0), read(1, 2.1), read(0, 8.9)) == []
    late = broken(BOUNDED, write(1, 2.0), read(1, 2.1), read(0, 9.2))
    assert late == ["1 reads older than outage and TTL"]


def test_what_it_wrote_before_it_was_cut_off_may_not() -> None:
    assert broken(BOUNDED, write(1, 0.9), read(0, 2.0)) == ["1 stale reads"]


def test_what_others_wrote_may_not() -> None:
    assert broken(BOUNDED, write(1, 2.0, OTHER), read(0, 2.1)) == ["1 stale reads"]
    # whoever tells of a change makes all that is older unservable
    seen = [write(1, 2.0), write(2, 2.1, OTHER), read(0, 2.2)]
    assert broken(BOUNDED, *seen) == ["1 stale reads"]


def test_each_strike_excuses_its_own_victim() -> None:
    strikes = [STRIKE, Strike(4 * SECOND, 6 * SECOND, OTHER)]
    first, second = write(1, 2.5), write(1, 4.5)
    assert broken(BOUNDED, first, read(0, 2.6), strikes=strikes) == []
    assert broken(BOUNDED, second, read(0, 4.6), strikes=strikes) == ["1 stale reads"]


def test_excuse_ends_when_the_outage_does_and_it_had_time_to_tell() -> None:
    ends = 3 + TOLD_AFTER
    soon, later = write(1, ends - 0.1), write(1, ends + 0.1)
    assert broken(BOUNDED, soon, read(0, ends)) == []
    # it doesn't matter when the next outage comes
    assert broken(BOUNDED, later, read(0, ends + 0.2)) == ["1 stale reads"]
    # one that was under way then may have been made before
    under_way = later._replace(began=int((ends - 0.1) * SECOND))
    assert broken(BOUNDED, under_way, read(0, ends + 0.2)) == []


def test_row_goes_back_behind_what_only_the_victim_knew() -> None:
    seen = [write(1, 2.0), write(2, 2.1), read(2, 2.2), read(0, 2.3)]
    assert broken(BOUNDED, *seen) == []


def test_row_may_not_go_back_behind_what_others_wrote() -> None:
    under_way = write(2, 2.5, OTHER)._replace(began=2 * SECOND)
    went_back = [write(1, 2.0), under_way, read(2, 2.2), read(0, 2.3)]
    assert broken(BOUNDED, *went_back) == ["1 reads that went back"]
    # nobody knows whose that is
    assert broken(BOUNDED, read(1, 2.1), read(0, 2.2))[0] == "1 reads that went back"


def test_refusals_are_promised_to_nobody_who_did_not_ask() -> None:
    refused = [marked(BEGUN), marked(REFUSED)]
    assert broken(REFUSING, *refused) == []
    assert broken(STRICT, *refused) == ["1 refused commits"]
    assert broken(BOUNDED, *refused) == ["1 refused commits"]


def test_refused_commit_that_was_made() -> None:
    said = broken(REFUSING, marked(BEGUN), marked(REFUSED), read(1, 3.0))
    assert said == ["1 commits made that were said not to be"]


def test_nothing_may_fail() -> None:
    assert broken(REFUSING, marked(UNANSWERED)) == ["1 reads that failed"]
    assert broken(REFUSING, marked(BEGUN), marked(BROKEN)) == ["1 writes that failed"]


def test_killed_writer_may_have_committed_or_not() -> None:
    killed = marked(BEGUN, 1.5)
    assert broken(STRICT, killed, read(1, 2.0), read(1, 2.1)) == []
    assert broken(STRICT, killed, read(0, 2.0), read(1, 2.1), read(1, 2.2)) == []
    # once it was seen, it was made
    seen = broken(STRICT, killed, read(1, 2.0), read(0, 2.1))
    assert seen == ["1 reads that went back"]


def test_hits_are_those_after_the_first_fault_that_waited_for_nobody() -> None:
    before, hit = read(1, 0.5), read(1, 4.0)
    load = read(1, 5.0)._replace(loaded=True, ended=6 * SECOND)
    waiting = read(1, 5.5)._replace(ended=6 * SECOND)
    assert find([before, hit, load, waiting], [STRIKE]).hits == 1 / 3
    assert find([before, hit], []).hits == 1.0
    assert find([before], [STRIKE]).hits == 0.0


def test_read_that_hangs_is_no_answer() -> None:
    slow = read(1, 3.0)._replace(ended=int((3 + SLOWEST) * SECOND))
    slower = slow._replace(ended=slow.ended + 1)
    assert broken(STRICT, write(1, 2.0), slow) == []
    said = broken(STRICT, write(1, 2.0), slower)
    assert said == ["a read took longer than 10 s"]
    assert len(broken(STRICT, slower._replace(way=UNANSWERED, value=0))) == 2


def test_answers_near_by_are_counted_since_the_first_fault() -> None:
    reads = [read(1, at)._replace(near=True) for at in (0.5, 4.0, 5.0)]
    assert find([*reads, read(1, 6.0)], [STRIKE]).near == 2

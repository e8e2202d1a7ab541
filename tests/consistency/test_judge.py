"""
The judge finds what no reader may have seen, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistency.events import WRITE, Event
from consistency.judge import Verdict, Violation, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

READ = 1


def write(value: int, began: int, ended: int, *, row: int = 1) -> Event:
    return Event(row, value, began, ended, process=0, way=WRITE)


def read(
    value: int, began: int, ended: int, *, row: int = 1, process: int = 1
) -> Event:
    return Event(row, value, began, ended, process=process, way=READ)


def found(verdict: Verdict) -> list[tuple[str, Event, Event]]:
    violations = (*verdict.stale, *verdict.backwards)
    return [(one.kind, one.read, one.before) for one in violations]


def test_nothing_happened() -> None:
    verdict = judge([])
    assert verdict.good
    assert (verdict.reads, verdict.writes, verdict.nanoseconds) == (0, 0, 0)
    assert (verdict.stale_share, verdict.worst) == (0.0, 0)


def test_reads_that_saw_what_was_there() -> None:
    verdict = judge([read(0, 0, 5), write(1, 10, 20), read(1, 21, 25), read(1, 30, 35)])
    assert verdict.good
    assert (verdict.reads, verdict.writes) == (3, 1)
    assert (verdict.on_written, verdict.nanoseconds) == (3, 35)


def test_read_older_than_a_commit_that_had_returned() -> None:
    commit, late = write(1, 10, 20), read(0, 21, 25)
    verdict = judge([late, commit])
    assert found(verdict) == [("stale", late, commit)]
    assert not verdict.good
    assert verdict.worst == verdict.stale[0].age == 1


def test_old_value_is_as_stale_as_the_first_commit_that_replaced_it() -> None:
    first, second = write(1, 0, 10), write(2, 20, 30)
    stale, less = read(0, 100, 101), read(1, 103, 104)
    verdict = judge([first, second, stale, less])
    assert found(verdict) == [("stale", stale, first), ("stale", less, second)]
    assert [one.age for one in verdict.stale] == [90, 73]
    assert verdict.worst == 90
    assert verdict.stale_share == 1.0


def test_near_by_others_commits_may_be_missed_for_a_while_and_own_ones_never() -> None:
    commit = write(1, 10, 20)
    in_time, late = read(0, 30, 31), read(0, 31, 32)
    own = read(0, 21, 22, process=0)
    own_late = read(0, 40, 41, process=0)
    verdict = judge([commit, in_time, late, own, own_late], near=10 / 1e9)
    assert found(verdict) == [("stale", one, commit) for one in (own, late, own_late)]
    assert verdict.backwards == ()


def test_near_by_going_back_is_not_judged() -> None:
    commit, new, old = write(1, 10, 20), read(1, 21, 22), read(0, 23, 24)
    assert judge([commit, new, old], near=10 / 1e9).good
    assert len(judge([commit, new, old]).backwards) == 1


def test_commit_that_returned_before_an_earlier_one() -> None:
    slow, quick = write(1, 0, 90), write(2, 10, 20)
    stale = read(1, 30, 31)
    assert found(judge([slow, quick, stale])) == [("stale", stale, quick)]


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("times", [(5, 15), (12, 18), (15, 25), (20, 25), (5, 30)])
def test_read_that_overlaps_a_commit_may_see_it_or_not(
    value: int, times: tuple[int, int]
) -> None:
    # one that begins at the very moment at which the other ends isn't after it
    assert judge([write(1, 10, 20), read(value, *times)]).good


def test_row_goes_back_from_one_process_to_another() -> None:
    # the commit is under way all the time: nobody has to see it, but who does is seen
    commit = write(1, 0, 100)
    new, old = read(1, 10, 20, process=1), read(0, 21, 30, process=2)
    verdict = judge([commit, new, old])
    assert found(verdict) == [("backwards", old, new)]
    assert verdict.backwards[0].age == 1


def test_row_goes_back_though_nobody_lived_to_tell_of_the_write() -> None:
    new, old = read(7, 10, 20), read(6, 30, 40)
    assert found(judge([new, old])) == [("backwards", old, new)]


@pytest.mark.parametrize("times", [(5, 12), (15, 30), (20, 30)])
def test_reads_that_overlap_have_no_order(times: tuple[int, int]) -> None:
    assert judge([read(1, 10, 20), read(0, *times)]).good


def test_read_is_told_of_the_most_that_was_seen_before() -> None:
    reads = [read(3, 0, 10), read(5, 2, 8), read(4, 20, 30)]
    assert found(judge(reads)) == [("backwards", reads[2], reads[1])]


def test_one_read_may_be_both() -> None:
    commit, new, old = write(1, 0, 10), read(1, 11, 12), read(0, 13, 14)
    kinds = {kind for kind, *_ in found(judge([commit, new, old]))}
    assert kinds == {"stale", "backwards"}


def test_rows_have_nothing_to_do_with_each_other() -> None:
    verdict = judge([write(1, 0, 10), read(0, 20, 30, row=2), read(1, 20, 30)])
    assert verdict.good
    assert (verdict.reads, verdict.on_written) == (2, 1)


def test_violations_come_in_order() -> None:
    reads = [read(0, began, began + 1) for began in (50, 30, 70)]
    stale = judge([write(1, 0, 10), *reads]).stale
    assert [one.read.began for one in stale] == [30, 50, 70]


def slowly(history: Sequence[Event]) -> set[Violation]:
    """
    Judge by asking of each pair whether one is older than the other before it.
    """
    return set(_stale_slowly(history)) | set(_backwards_slowly(history))


def _before(read: Event, history: Sequence[Event], *, way: int) -> list[Event]:
    return [
        one
        for one in history
        if one.row == read.row
        and one.way == way
        and one.ended < read.began
        and one.value > read.value
    ]


def _stale_slowly(history: Sequence[Event]) -> Iterable[Violation]:
    for one in history:
        if one.way == READ and (newer := _before(one, history, way=WRITE)):
            yield Violation("stale", one, min(newer, key=lambda event: event.ended))


def _backwards_slowly(history: Sequence[Event]) -> Iterable[Violation]:
    for one in history:
        if one.way == READ and (newer := _before(one, history, way=READ)):
            yield Violation("backwards", one, max(newer, key=lambda event: event.value))


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """
    Draw events of two rows; times are few, so that many are equal.
    """
    small = st.integers(0, 12)
    events = []
    for task in range(draw(st.integers(0, 14))):
        began = draw(small)
        ended = began + draw(st.integers(0, 5))
        row, way = draw(st.integers(1, 2)), draw(st.sampled_from([WRITE, READ]))
        # a row's writes have different values
        value = task if way == WRITE else draw(small)
        events.append(Event(row, value, began, ended, task=task, way=way))
    return events


@given(histories())
def test_judges_as_one_that_compares_all_pairs(history: list[Event]) -> None:
    def plain(found: Iterable[Violation]) -> set[tuple[str, Event, int]]:
        # of several events that prove the same, either may be named
        return {
            (one.kind, one.read, one.age if one.kind == "stale" else one.before.value)
            for one in found
        }

    verdict = judge(history)
    ours = [*verdict.stale, *verdict.backwards]
    assert plain(ours) == plain(slowly(history))
    assert len(ours) == len(slowly(history))

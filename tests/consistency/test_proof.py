"""
A cell in which nothing was tested fails, and says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consistency.cells import PACE, Case, Cell
from consistency.events import REFUSED, WRITE, Event
from consistency.nemeses import NEMESES, Strike
from consistency.promises import find
from consistency.proof import lacking
from consistency.signs import (
    CAME_BACK,
    CUT_OFF,
    EVICTED,
    FAILURES,
    FORGOTTEN,
    LEFT_FENCES,
    LOSSES,
    NEAR,
    UNHEARD,
    UNKNOWN_SCRIPTS,
    summed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND = 10**9
READ = 1
WRITTEN = Event(1, 1, 1, 2, process=0, way=WRITE)
SHORT, LONG, LONGEST = PACE.healing / 2, PACE.healing + 0.1, PACE.mending + 0.1
"""Seconds between two strikes."""


def strikes(*gaps: float) -> list[Strike]:
    """
    Give strikes of one second with so many seconds between them, the first at 5.
    """
    begin, found = 5.0, []
    for gap in (*gaps, 0.0):
        found.append(Strike(int(begin * SECOND), int((begin + 1) * SECOND)))
        begin += 1 + gap
    return found


def hit(after: Strike, seconds: float = 0.5) -> Event:
    began = after.ended + int(seconds * SECOND)
    return Event(1, 1, began, began + 1, process=2, way=READ)


def said(
    *history: Event,
    struck: Sequence[Strike],
    name: str = "killed_store",
    setting: str = "commit",
    signs: Sequence[str] = (FAILURES, LOSSES),
) -> list[str]:
    found, case = find(history, struck), Case(NEMESES[name], setting)
    seen = dict.fromkeys(signs, 1)
    return lacking(Cell(case, tuple(struck), found, {}, {}, seen), PACE)


def test_nothing_happened() -> None:
    assert said(WRITTEN, struck=[]) == ["nothing was tested: there was no fault"]
    (one,) = strikes()
    nothing = ["nothing was tested: nothing was written"]
    assert said(hit(one), struck=[one]) == nothing


def test_cache_that_answers_after_each_fault() -> None:
    struck = strikes(LONG, LONGEST)
    hits = [hit(one) for one in struck]
    assert said(WRITTEN, *hits, hit(struck[-1], 2), struck=struck) == []


def test_hits_before_the_first_fault_show_nothing() -> None:
    (one,) = strikes()
    before = [hit(one, -3 + part / 100) for part in range(100)]
    loads = [hit(one, part)._replace(loaded=True) for part in range(1, 200)]
    few, late = said(WRITTEN, *before, *loads, struck=[one])
    assert few == "only 0.0% of the reads after the first fault were hits"
    assert late == f"hits were not back {PACE.mending:g} s after the last fault"


def test_who_waited_for_anothers_load_had_no_hit() -> None:
    (one,) = strikes()
    load = hit(one)._replace(loaded=True, ended=one.ended + 2 * SECOND)
    waiting = hit(one, 1)._replace(ended=one.ended + 2 * SECOND)
    assert len(said(WRITTEN, load, waiting, struck=[one])) == 2


def test_after_the_last_fault_hits_come_back_in_any_case() -> None:
    struck = strikes(SHORT)
    first, last = (hit(one) for one in struck)
    (late,) = said(WRITTEN, first, last._replace(loaded=True), struck=struck)
    assert late.endswith("after the last fault")
    # before the next fault there wasn't the time
    assert said(WRITTEN, last, hit(struck[-1], 2), struck=struck) == []


def test_where_there_was_time_they_came_back() -> None:
    struck = strikes(LONGEST, LONGEST)
    hits = [hit(struck[0]), hit(struck[-1]), hit(struck[-1], 2)]
    assert said(WRITTEN, *hits, struck=struck) == [
        f"hits were not back {PACE.mending:g} s after 1 of the faults"
    ]


def test_where_there_was_the_usual_time_most_were_got_over() -> None:
    struck = strikes(LONG, LONG, LONG)
    last = [hit(struck[-1]), hit(struck[-1], 2)]
    (few,) = said(WRITTEN, hit(struck[0]), *last, struck=struck)
    assert few.startswith("hits were back after 1 of 3 faults")
    assert said(WRITTEN, *map(hit, struck[:2]), *last, struck=struck) == []
    # one alone says little
    assert said(WRITTEN, *last, struck=[*struck[-2:]]) == []


@pytest.mark.parametrize(
    ("name", "signs"),
    [
        ("black_hole_one", [FAILURES]),
        ("killed_primary", [FAILURES]),
        ("killed_store", [FAILURES, LOSSES]),
        ("flushed", [LOSSES]),
        ("evicting", [EVICTED, LOSSES]),
        ("scripts_flushed", [UNKNOWN_SCRIPTS]),
        ("killed_writer", [CUT_OFF, LEFT_FENCES]),
        ("killed_older", [FAILURES, LOSSES, FORGOTTEN, CAME_BACK]),
        ("near_cut", [FAILURES, NEAR]),
        ("near_deaf", [UNHEARD, NEAR]),
    ],
)
def test_fault_that_was_none(name: str, signs: list[str]) -> None:
    (one,) = strikes()
    healed = [WRITTEN, hit(one), hit(one, 2)]
    assert said(*healed, struck=[one], name=name, signs=signs) == []
    for missing in signs:
        others = [sign for sign in signs if sign != missing]
        assert said(*healed, struck=[one], name=name, signs=others) == [
            f"the fault was not tested: there were no {missing}"
        ]


def test_refusing_is_tested_by_what_was_refused() -> None:
    (one,) = strikes()
    healed = [WRITTEN, hit(one), hit(one, 2)]
    (never,) = said(*healed, struck=[one], setting="refuse")
    assert never.endswith("no commit was refused, and the longest outage took 1.0 s")
    refused = WRITTEN._replace(way=REFUSED)
    assert said(*healed, refused, struck=[one], setting="refuse") == []
    # who only reads, or how long it takes isn't ours to say
    for name, signs in (("flushed", [LOSSES]), ("killed_primary", [FAILURES])):
        told = {"struck": [one], "name": name, "signs": signs}
        assert said(*healed, **told, setting="refuse") == []


def test_each_victim_has_to_have_noticed() -> None:
    counted = {0: {FAILURES: 9, LOSSES: 1}, 1: {FAILURES: 0, LOSSES: 2}, 2: {}}
    first, second = Strike(1, 2, victim=0), Strike(3, 4, victim=1)
    assert summed(counted, []) == {FAILURES: 9, LOSSES: 3}
    assert summed(counted, [first])[FAILURES] == 9
    assert summed(counted, [first, second])[FAILURES] == 0

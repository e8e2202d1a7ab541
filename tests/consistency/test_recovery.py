"""
Hits are back when most processes had one that waited for nobody.
"""

from __future__ import annotations

from consistency.events import Event
from consistency.nemeses import Strike
from consistency.recovery import Recovery, recovery

READ = 1
STRIKE = Strike(50, 100)


def read(
    began: int, ended: int, *, process: int = 0, loaded: bool = False, row: int = 1
) -> Event:
    return Event(row, 0, began, ended, process, 0, READ, loaded)


def test_nobody_read() -> None:
    assert recovery([], [STRIKE]) == Recovery((None,))


def test_first_hit_after_the_end_counts() -> None:
    reads = [read(90, 110), read(110, 115, loaded=True), read(130, 131), read(150, 151)]
    assert recovery(reads, [STRIKE]) == Recovery((30,))


def test_who_waits_for_anothers_load_has_no_hit() -> None:
    load = read(110, 140, loaded=True)
    reads = [load, read(120, 141), read(150, 151), read(160, 161)]
    assert recovery(reads, [STRIKE]) == Recovery((50,))
    # loads of other rows and processes are none of its business
    for other in (load._replace(row=2), load._replace(process=5)):
        others = [other, *reads[1:], read(105, 106, process=5)]
        assert recovery(others, [STRIKE]).times == (20,)


def test_most_processes_have_to_be_back() -> None:
    firsts = {0: 110, 1: 190, 2: 120}
    reads = [read(at, at + 1, process=process) for process, at in firsts.items()]
    reads.append(read(300, 301))
    assert recovery(reads, [STRIKE]) == Recovery((20,))


def test_victim_has_to_be_back_itself() -> None:
    reads = [read(110, 111), read(170, 171, process=1), read(300, 301)]
    strikes = [Strike(50, 100, victim=1)]
    assert recovery(reads, strikes) == Recovery((70,))
    # one that was killed reads no more
    strikes = [Strike(50, 100, victim=2)]
    assert recovery(reads, strikes).times == (70,)


def test_hits_after_the_next_strike_are_too_late() -> None:
    reads = [read(110, 111, loaded=True), read(310, 311), read(400, 401)]
    strikes = [STRIKE, Strike(200, 300)]
    assert recovery(reads, strikes) == Recovery((None, 10))


def test_it_counts_from_when_the_store_was_back() -> None:
    reads = [read(70, 71, process=one) for one in (0, 1)] + [read(300, 301)]
    assert recovery(reads, [Strike(50, 100, back=60)]) == Recovery((10,))

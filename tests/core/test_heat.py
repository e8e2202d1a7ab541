"""
When look-ups on a table are left alone: only after they gained next to nothing.
"""

from __future__ import annotations

import pytest

from yokedcache.core.entry import Entry, Lifetime
from yokedcache.core.heat import LONGEST, SAMPLE, SHORTEST, WORTH, Heat
from yokedcache.core.tags import TagTable


class Table:
    """
    Answers read from one table, and the writes to it.
    """

    def __init__(self) -> None:
        self.tags = TagTable()
        self.heat = Heat()

    def answer(self, *, hits: int = 0, broken: bool = True, now: float = 0.0) -> bool:
        entry = Entry(
            1,
            copier=None,
            vector=self.tags.stamp(["t"]).vector,
            born=now,
            cost=0.0,
            lifetime=Lifetime(60.0),
            weight=1,
        )
        entry.hits = hits
        ((tag, version),) = entry.vector
        became_hot = self.heat.stored(entry, tag, version, now)
        if broken:
            self.tags.bump(["t"])
        return became_hot


def test_answers_that_were_all_broken_unread_make_a_table_hot() -> None:
    table = Table()
    assert not any(table.answer() for _ in range(SAMPLE - 1))
    assert table.heat.until == 0.0
    assert table.answer(now=5.0)
    assert table.heat.until == 5.0 + SHORTEST


@pytest.mark.parametrize("read", [(0, 3), (3, SAMPLE - 1), (0, SAMPLE - 1)])
def test_a_few_answers_that_served_are_gain_enough(read: tuple[int, ...]) -> None:
    assert len(read) == WORTH
    table = Table()
    for number in range(SAMPLE):
        assert not table.answer(hits=number in read)
    assert table.heat.until == 0.0


def test_fewer_cost_more_than_they_gain() -> None:
    table = Table()
    answers = [table.answer(hits=number < WORTH - 1) for number in range(SAMPLE)]
    assert answers[-1]


def test_answers_that_still_hold_may_be_read_yet() -> None:
    table = Table()
    for _ in range(10 * SAMPLE):
        assert not table.answer(broken=False)


def test_the_longer_it_lasts_the_longer_it_is_left_alone() -> None:
    table = Table()
    pauses = []
    for _ in range(6):
        assert [table.answer() for _ in range(SAMPLE)][-1]
        pauses.append(table.heat.until)
    assert pauses == [1.0, 2.0, 4.0, 8.0, LONGEST, LONGEST]
    for _ in range(SAMPLE):
        table.answer(hits=1)
    assert [table.answer() for _ in range(SAMPLE)][-1]
    assert table.heat.until == SHORTEST

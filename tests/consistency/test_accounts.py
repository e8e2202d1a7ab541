"""
What became of writes is known, but of those whose process was killed.
"""

from __future__ import annotations

from consistency.accounts import Accounts, account
from consistency.events import BEGUN, BROKEN, REFUSED, UNANSWERED, WRITE, Event

READ = 1


def event(way: int, value: int = 0, *, row: int = 1, process: int = 0) -> Event:
    return Event(row, value, 0, 1, process=process, way=way)


def test_nothing_happened() -> None:
    assert account([]) == Accounts(0, 0, 0, 0, 0, 0, 0)
    assert account([]).reads_available == account([]).writes_available == 1.0


def test_all_of_it_went_well() -> None:
    history = [event(BEGUN), event(WRITE, 1), event(READ, 1), event(READ, 0)]
    assert account(history) == Accounts(1, 0, 0, 0, 2, 0, 0)


def test_shares_of_what_failed() -> None:
    history = [event(BEGUN), event(WRITE, 1), event(BEGUN), event(REFUSED)]
    history += [event(BEGUN), event(WRITE, 2), event(BEGUN), event(BROKEN)]
    history += [event(READ, 1)] * 3 + [event(UNANSWERED)]
    counted = account(history)
    assert (counted.written, counted.refused, counted.broken) == (2, 1, 1)
    assert (counted.answered, counted.unanswered) == (3, 1)
    assert counted.writes_available == 0.5
    assert counted.reads_available == 0.75
    assert counted.unknown == counted.unaccounted == 0


def test_refused_commit_that_was_made_is_found_out_by_a_read() -> None:
    refused = [event(BEGUN), event(REFUSED)]
    assert account([*refused, event(READ, 0)]).unaccounted == 0
    assert account([*refused, event(READ, 1)]).unaccounted == 1


def test_refused_commit_that_was_made_is_found_out_by_the_next_write() -> None:
    refused = [event(BEGUN), event(REFUSED)]
    assert account([*refused, event(BEGUN), event(WRITE, 1)]).unaccounted == 0
    assert account([*refused, event(BEGUN), event(WRITE, 2)]).unaccounted == 1


def test_commit_of_a_killed_writer_may_be_made_or_not() -> None:
    killed = [event(BEGUN, process=7)]
    for value in (0, 1):
        counted = account([*killed, event(READ, value)])
        assert (counted.unknown, counted.unaccounted) == (1, 0)
    # but only one, of its own row
    assert account([*killed, event(READ, 2)]).unaccounted == 1
    assert account([*killed, event(READ, 1, row=2)]).unaccounted == 1


def test_write_that_failed_says_nothing_of_its_commit() -> None:
    broken = [event(BEGUN), event(BROKEN)]
    assert account([*broken, event(READ, 1)]).unaccounted == 0
    assert account([*broken, event(READ, 2)]).unaccounted == 1


def test_processes_do_not_end_each_others_writes() -> None:
    history = [event(BEGUN, process=1), event(BEGUN, process=2)]
    history += [event(WRITE, 1, process=2)]
    assert account(history).unknown == 1

"""
Rows read ahead are to their caller what rows fetched one by one are.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

from yokedcache.sqlalchemy.answers.rows import record

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, CursorResult

    from yokedcache.sqlalchemy.answers.rows import Recording

MANY = 250


def numbers(last: int) -> Any:
    return text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        f"LIMIT {last}) SELECT i, upto(i) FROM n"
    )


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")

    def add(raw: sqlite3.Connection, _: Any) -> None:
        def upto(number: int) -> int:
            if number > MANY:
                raise ValueError(number)
            return number

        raw.create_function("upto", 1, upto)

    event.listen(engine, "connect", add)
    with engine.connect() as made:
        yield made
    engine.dispose()


def firsts(result: CursorResult[Any]) -> list[int]:
    return [row[0] for row in result]


def one_by_one(result: CursorResult[Any]) -> list[int]:
    rows = []
    while (row := result.fetchone()) is not None:
        rows.append(row[0])
    return rows


def in_parts(result: CursorResult[Any]) -> list[int]:
    rows = []
    while part := result.fetchmany(7):
        rows += [row[0] for row in part]
    return rows


def partitioned(result: CursorResult[Any]) -> list[int]:
    return [row[0] for part in result.partitions(30) for row in part]


def by_yield_per(result: CursorResult[Any]) -> list[int]:
    return [row[0] for part in result.yield_per(40).partitions() for row in part]


def one_then_all(result: CursorResult[Any]) -> list[int]:
    row = result.fetchone()
    assert row is not None
    return [row[0], *(row[0] for row in result.all())]


def part_of_default_size(result: CursorResult[Any]) -> list[int]:
    return [row[0] for row in result.fetchmany()]


READERS = [
    firsts, one_by_one, in_parts, partitioned, by_yield_per, one_then_all,
    part_of_default_size,
]  # fmt: skip


def taken_down(
    result: CursorResult[Any], *, ahead: int, max_rows: int
) -> tuple[list[Recording], list[str]]:
    recordings: list[Recording] = []
    reasons: list[str] = []
    record(
        result,
        on_complete=recordings.append,
        on_abandon=reasons.append,
        max_rows=max_rows,
        ahead=ahead,
    )
    return recordings, reasons


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("ahead", [1, 10, 100])
@pytest.mark.parametrize("rows", [1, 99, 100, 101, MANY])
@pytest.mark.parametrize("max_rows", [50, 1_000])
def test_the_caller_sees_no_difference(
    connection: Connection,
    read: Callable[[Any], list[int]],
    ahead: int,
    rows: int,
    max_rows: int,
) -> None:
    plain = read(connection.execute(numbers(rows)))
    result = connection.execute(numbers(rows))
    recordings, reasons = taken_down(result, ahead=ahead, max_rows=max_rows)
    if rows <= max_rows:
        assert [len(recording.rows) for recording in recordings] == [rows]
        assert reasons == []
    else:
        assert (recordings, reasons) == ([], ["too_many_rows"])
    assert read(result) == plain


@pytest.mark.parametrize("ahead", [1, 100])
def test_a_close_leaves_nothing_behind(connection: Connection, ahead: int) -> None:
    result = connection.execute(numbers(20))
    taken_down(result, ahead=ahead, max_rows=10)
    assert result.first() == (1, 1)
    assert result.closed
    assert connection.execute(numbers(1)).all() == [(1, 1)]


def before_the_error(result: CursorResult[Any]) -> list[int]:
    seen: list[int] = []

    def all_rows() -> None:
        while row := result.fetchone():
            seen.append(row[0])

    with pytest.raises(DBAPIError):
        all_rows()
    return seen


def test_an_error_comes_where_it_would_have_come(connection: Connection) -> None:
    plain = before_the_error(connection.execute(numbers(MANY + 5)))
    assert len(plain) > MANY - 2
    result = connection.execute(numbers(MANY + 5))
    assert taken_down(result, ahead=1, max_rows=1_000) == ([], ["error"])
    assert before_the_error(result) == plain


@pytest.mark.usefixtures("no_cycles_are_freed", "may_block")
def test_an_error_that_nobody_comes_to_holds_nothing(connection: Connection) -> None:
    result = connection.execute(numbers(MANY + 5))
    assert taken_down(result, ahead=1, max_rows=1_000) == ([], ["error"])
    result.close()
    kept = weakref.ref(result.context)
    del result
    assert kept() is None


@pytest.mark.parametrize("read", READERS[:-1])
def test_whoever_reads_on_meets_the_error(
    connection: Connection, read: Callable[[Any], list[int]]
) -> None:
    result = connection.execute(numbers(MANY + 5))
    taken_down(result, ahead=1, max_rows=1_000)
    with pytest.raises(DBAPIError):
        read(result)


def test_who_stops_before_it_does_not(connection: Connection) -> None:
    result = connection.execute(numbers(MANY + 5))
    taken_down(result, ahead=1, max_rows=1_000)
    assert result.first() == (1, 1)

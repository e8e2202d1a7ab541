"""
Hole 21: a recording is bounded, and never reads more than the caller would.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, select, text

from tests.support.databases import Blog
from tests.support.models import User
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session, sessionmaker

ROWS = 30_000
fetched: list[int] = []


class CountingCursor(sqlite3.Cursor):
    """
    Counts the rows that are taken from the driver.
    """

    def fetchone(self) -> Any:
        row = super().fetchone()
        fetched.append(row is not None)
        return row

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        rows = super().fetchmany(size)
        fetched.append(len(rows))
        return rows

    def fetchall(self) -> list[Any]:
        rows = super().fetchall()
        fetched.append(len(rows))
        return rows


class CountingConnection(sqlite3.Connection):
    """
    Makes counting cursors.
    """

    def cursor(self, factory: Any = CountingCursor) -> Any:
        return super().cursor(factory)


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Blog]:
    url = f"sqlite:///{tmp_path / 'large.db'}"
    engine = create_engine(url, connect_args={"factory": CountingConnection})
    blog = Blog(engine)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n LIMIT {ROWS})"
    with engine.begin() as connection:
        connection.execute(
            text(f"INSERT INTO users {numbers} SELECT i, 'user ' || i, 1 FROM n")
        )
    fetched.clear()
    yield blog
    engine.dispose()


def test_hole_21_first_of_many_rows_reads_few(large: Blog, cache: YokedCache) -> None:
    # of a table: for what is mapped, SQLAlchemy's own loader takes all rows
    query = select(User.__table__).order_by(User.__table__.c.id)

    def rows_taken(sessions: sessionmaker[Session]) -> list[int]:
        taken = []
        with sessions() as session:
            assert session.execute(query).first() == (1, "ann", True)
            taken.append(sum(fetched))
            fetched.clear()
            for number, _ in enumerate(session.execute(query)):
                if number == 10:
                    break
            taken.append(sum(fetched))
            fetched.clear()
        return taken

    assert max(rows_taken(large.sessions)) < 100
    assert max(rows_taken(large.attached(cache))) < 100


def test_hole_21_a_result_past_the_limit_is_complete_and_not_stored(
    large: Blog, cache: YokedCache
) -> None:
    sessions = large.attached(cache)
    for _ in range(2):
        with sessions() as session:
            assert len(session.scalars(select(User.id)).all()) == ROWS + 3
    refusals = cache.stats().total.refusals
    assert sum(refusals.values()) == 2
    assert cache.stats().entries == 0


def test_hole_21_a_result_closed_early_is_not_stored(
    large: Blog, cache: YokedCache
) -> None:
    sessions = large.attached(cache)
    query = select(User.id).order_by(User.id)
    with sessions() as session:
        result = session.execute(query)
        assert result.fetchone() == (1,)
        result.close()
    assert cache.stats().entries == 0
    with sessions() as session:
        assert len(session.scalars(query).all()) == ROWS + 3


@pytest.mark.parametrize(
    ("settings", "stored"),
    [
        ({"max_rows": 3}, True),
        ({"max_rows": 2}, False),
        ({"max_recording": 100_000}, True),
        ({"max_recording": 50}, False),
    ],
    ids=["rows", "too_many", "bytes", "too_large"],
)
def test_hole_21_the_limits_are_the_settings(
    any_blog: Blog, settings: dict[str, Any], stored: bool
) -> None:
    cache = YokedCache(**settings)
    sessions = any_blog.attached(cache)
    for _ in range(2):
        with any_blog.counted() as sent, sessions() as session:
            assert len(session.scalars(select(User)).all()) == 3
    assert (sent == []) is stored
    cache.sync.close()

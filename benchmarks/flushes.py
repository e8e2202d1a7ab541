"""
The flushes that the `writes` section measures: rows added, sent, and rolled back.

Run by a `Worker` it is the other side: the same in a process that never heard of
yokedcache.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import TYPE_CHECKING, Any

from measure import repeat
from reads import clock_of
from schema import Address
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Run

FLUSHES = {"flush of one row": 1, "flush of 1,000 rows": 1000}


def flusher(shape: str, maker: sessionmaker[Session]) -> Callable[[], object]:
    """
    Make what opens a session, adds rows to a user, flushes them and rolls back.
    """
    rows = FLUSHES[shape]
    stamp = dt.datetime(2026, 1, 1).isoformat()  # noqa: DTZ001

    def flush() -> None:
        with maker() as session:
            session.add_all(
                Address(user_id=1, street=stamp, city="City", code="10000")
                for _ in range(rows)
            )
            session.flush()
            session.rollback()

    for _ in range(5):
        flush()
    return flush


def perform(contender: str, what: str, count: int) -> Any:
    """
    Do what a worker was asked for: `what` is a shape and the database's URL.
    """
    assert contender == "untracked"
    return _run(what)(count)


@cache
def _run(what: str) -> Run:
    shape, _, url = what.partition(" @ ")
    return repeat(flusher(shape, sessionmaker(create_engine(url))), clock_of(url))

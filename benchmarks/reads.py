"""
The reads that the `orm` section measures, through whatever makes sessions.

Run by a `Worker` it is also the peers' side: in a process that never heard of
yokedcache, whose tracking would be part of what an uncached read takes.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING, Any

import recipe
from measure import PASSED, SPENT, repeat
from schema import User
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, joinedload, sessionmaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Run
    from sqlalchemy import Engine

WARM = 50
"""How many different users are asked for, all of them cached."""


def one_by_id(session: Session, number: int) -> object:
    return session.execute(select(User).where(User.id == number)).scalars().all()


def list_of_50(session: Session, _: int) -> object:
    return session.execute(select(User).order_by(User.id).limit(50)).scalars().all()


def joined_list_of_50(session: Session, _: int) -> object:
    statement = select(User).options(joinedload(User.addresses))
    limited = statement.order_by(User.id).limit(50)
    return session.execute(limited).unique().scalars().all()


def get(session: Session, number: int) -> object:
    return session.get(User, number)


READS: dict[str, Callable[[Session, int], object]] = {
    "one by id": one_by_id,
    "list of 50": list_of_50,
    "joined list of 50": joined_list_of_50,
    "get": get,
}


def reader(shape: str, maker: sessionmaker[Session]) -> Callable[[], object]:
    """
    Make what opens a session, reads, and closes it; warmed up.
    """
    numbers = itertools.cycle(range(1, WARM + 1))
    ask = READS[shape]

    def read() -> object:
        with maker() as session:
            return ask(session, next(numbers))

    for _ in range(4 * WARM):
        read()
    return read


def check_served(engine: Engine, read: Callable[[], object]) -> None:
    """
    See that a read is answered without a connection.
    """
    engine.pool.dispose()  # not the engine: that may be the end of its database
    read()
    if engine.pool.checkedin():  # type: ignore[attr-defined]
        msg = "a read that was to be answered from memory went to the database"
        raise AssertionError(msg)


def perform(contender: str, what: str, count: int) -> Any:
    """
    Do what a worker was asked for: `what` is a shape and the database's URL.
    """
    return _run(contender, what)(count)


@cache
def _run(contender: str, what: str) -> Run:
    shape, _, url = what.partition(" @ ")
    maker = sessionmaker(create_engine(url))
    if contender == "recipe":
        recipe.attach(maker)
    return repeat(reader(shape, maker), clock_of(url))


def clock_of(url: str) -> Callable[[], float]:
    """
    Give the clock that counts what reads of a database take.
    """
    return SPENT if url.startswith("sqlite") else PASSED

"""
The load that the `mixed` section measures: short reads, and commits of one row.

Three tables, and in each a few rows that most of the load asks for. Run by a `Worker`
it is the other side: the same load in a process that never heard of yokedcache.
"""

from __future__ import annotations

import random
from functools import cache
from itertools import cycle
from typing import TYPE_CHECKING, Any

from measure import repeat
from reads import clock_of
from schema import Address, Base, User
from sqlalchemy import Engine, ForeignKey, create_engine, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Run

HOT, PART = 20, 0.8
"""So many rows of each table, and the part of all requests that is for them."""

ROWS = 1000
STEPS = 5000
"""How many requests are drawn before they begin anew."""


class Note(Base):
    """
    What is written most: a few for each user.
    """

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    text: Mapped[str]
    seen: Mapped[int] = mapped_column(default=0)


def fill_notes(engine: Engine) -> None:
    """
    Write three notes for each user.
    """
    rows = [
        {"user_id": 1 + number % ROWS, "text": f"Note {number}", "seen": 0}
        for number in range(3 * ROWS)
    ]
    with engine.begin() as connection:
        connection.execute(insert(Note), rows)


def user_by_id(session: Session, number: int) -> object:
    """
    Read a user by its key.
    """
    return session.scalars(select(User).where(User.id == number)).one()


def user_by_get(session: Session, number: int) -> object:
    """
    Read a user with `get`.
    """
    return session.get_one(User, number)


def note_by_id(session: Session, number: int) -> object:
    """
    Read a note by its key.
    """
    return session.scalars(select(Note).where(Note.id == number)).one()


def addresses(session: Session, number: int) -> object:
    """
    Read a user's addresses.
    """
    of_user = select(Address).where(Address.user_id == number)
    return session.scalars(of_user.order_by(Address.id)).all()


def notes(session: Session, number: int) -> object:
    """
    Read ten of a user's notes.
    """
    of_user = select(Note).where(Note.user_id == number)
    return session.scalars(of_user.order_by(Note.id).limit(10)).all()


READS = (user_by_id, user_by_get, note_by_id, addresses, notes)


def age_user(session: Session, number: int) -> None:
    """
    Let a user be a year older.
    """
    session.get_one(User, number).age += 1
    session.commit()


def move(session: Session, number: int) -> None:
    """
    Change the city of an address.
    """
    session.get_one(Address, number).city = f"City of {number}, {random.random()}"
    session.commit()


def see_note(session: Session, number: int) -> None:
    """
    Count that a note was seen.
    """
    session.get_one(Note, number).seen += 1
    session.commit()


def add_note(session: Session, number: int) -> None:
    """
    Add a note of a user.
    """
    session.add(Note(user_id=number, text="A new one"))
    session.commit()


WRITES = (age_user, move, see_note, see_note, add_note)


def loader(share: float, maker: sessionmaker[Session]) -> Callable[[], object]:
    """
    Make what does the next request of a load with this share of writes; warmed up.
    """
    steps = cycle(_drawn(share))

    def request() -> None:
        act, number = next(steps)
        with maker() as session:
            act(session, number)

    for _ in range(STEPS // 10):
        request()
    return request


def _drawn(share: float) -> list[tuple[Callable[[Session, int], object], int]]:
    dice = random.Random(7)
    return [
        (
            dice.choice(WRITES if dice.random() < share else READS),
            1 + dice.randrange(HOT if dice.random() < PART else ROWS),
        )
        for _ in range(STEPS)
    ]


def perform(contender: str, what: str, count: int) -> Any:
    """
    Do what a worker was asked for: `what` is a share and the database's URL.
    """
    assert contender == "uncached"
    return _run(what)(count)


@cache
def _run(what: str) -> Run:
    share, _, url = what.partition(" @ ")
    return repeat(loader(float(share), sessionmaker(create_engine(url))), clock_of(url))

"""
The row that is hit, the ways to write and to read it, and the judge.

Each commit counts the row up, and what is rolled back is negative. A reader notes
which count had been committed before it began, and must be given no smaller one.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, select, text, update
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from yokedcache import YokedCache

SECONDS = float(os.environ.get("YOKEDCACHE_HAMMER", "0.7"))
PACE = 30
"""How many reads, at most, a writer waits for between two commits."""


class Base(DeclarativeBase):
    """
    The tables of the hammer.
    """


class Anvil(Base):
    """
    What is hit.
    """

    __tablename__ = "anvils"

    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int]
    chips: Mapped[list[Chip]] = relationship()


class Chip(Base):
    """
    What comes off: as many counts, in another table.
    """

    __tablename__ = "chips"

    id: Mapped[int] = mapped_column(primary_key=True)
    anvil_id: Mapped[int] = mapped_column(ForeignKey("anvils.id"))
    count: Mapped[int]


class Count:
    """
    How far commits that returned have counted, and what was seen wrong.
    """

    def __init__(self, cache: YokedCache) -> None:
        self.cache = cache
        self.done = 0
        self.wrong: list[str] = []
        self.reads = 0
        self.until = time.monotonic() + SECONDS

    @property
    def going(self) -> bool:
        """
        Tell whether the hammer still falls.
        """
        return not self.wrong and (time.monotonic() < self.until or not self.told)

    @property
    def told(self) -> bool:
        """
        Tell whether enough was done to judge: on a busy machine it takes longer.
        """
        hits = self.cache.stats().total.hits
        return self.done > 5 and self.reads > 50 and hits > 5

    def check(self, floor: int, seen: int, how: str) -> None:
        """
        Judge what a read gave that began when `floor` was committed.
        """
        self.reads += 1
        if seen < floor:
            self.wrong.append(f"{how} gave {seen} after {floor} was committed")

    def judge(self) -> None:
        """
        Fail if anything was wrong, or too little done to tell.
        """
        assert not self.wrong, self.wrong
        assert self.told


def setup(engine: Any) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Anvil(id=1, count=0, chips=[Chip(id=1, count=0)]))
        session.commit()


def write(session: Session, number: int, dice: random.Random) -> None:
    """
    Count up in one of several ways, which may be taken back in a savepoint first.
    """
    way = dice.randrange(4)
    if way == 0:
        session.execute(update(Anvil).values(count=number))
        with session.begin_nested() as inner:
            session.execute(update(Anvil).values(count=-number))
            inner.rollback()
    elif way == 1:
        anvil = session.get_one(Anvil, 1)
        anvil.count = -number
        session.flush()
        anvil.count = number
    elif way == 2:
        session.connection().exec_driver_sql(f"UPDATE anvils SET count = {number}")
    else:
        session.execute(text("UPDATE anvils SET count = :n"), {"n": number})
    session.execute(update(Chip).values(count=number))


def spoil(session: Session) -> None:
    """
    Write what is never committed.
    """
    session.execute(update(Anvil).values(count=-1))
    session.execute(update(Chip).values(count=-1))
    session.rollback()


def by_column(session: Session) -> int:
    return session.scalars(select(Anvil.count)).one()


def by_entity(session: Session) -> int:
    return session.scalars(select(Anvil).where(Anvil.id == 1)).one().count


def by_get(session: Session) -> int:
    return session.get_one(Anvil, 1).count


def by_join(session: Session) -> int:
    anvil = (
        session.scalars(select(Anvil).options(joinedload(Anvil.chips))).unique().one()
    )
    assert anvil.count == anvil.chips[0].count
    return anvil.count


def by_text(session: Session) -> int:
    return int(session.execute(text("SELECT min(count) FROM chips")).scalar_one())


STATEMENTS: list[Callable[[Session], int]] = [
    by_column,
    by_entity,
    by_get,
    by_join,
    by_text,
]

"""
Defaults that are executed before their INSERT: a statement without a statement.

SQLAlchemy sends them over the INSERT's cursor before its context has any SQL.
Found by SQLAlchemy's own suite with the cache on (`make conformance`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Sequence, create_engine, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    sessionmaker,
)

from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.postgres import PostgresDatabase

NUMBERS = Sequence("tickets_seq")


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    __tablename__ = "tickets"
    __table_args__ = {"implicit_returning": False}  # noqa: RUF012 - SQLAlchemy's own
    id: Mapped[int] = mapped_column(NUMBERS, primary_key=True)
    title: Mapped[str]


@pytest.fixture
def cached(postgres_database: PostgresDatabase) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(postgres_database.url("psycopg"))
    Base.metadata.create_all(engine)
    cache = YokedCache("memory://")
    yield cache.attach(sessionmaker(engine))
    cache.sync.close()
    engine.dispose()


def test_a_sequence_is_executed_for_an_insert(cached: sessionmaker[Session]) -> None:
    for number in (1, 2, 3):
        with cached.begin() as session:
            session.add(Ticket(title=f"no. {number}"))
        with cached() as session:
            titles = session.scalars(select(Ticket.title).order_by(Ticket.id)).all()
        assert titles == [f"no. {n}" for n in range(1, number + 1)]


def test_a_sequence_is_executed_by_itself(cached: sessionmaker[Session]) -> None:
    with cached() as session:
        assert [session.scalar(NUMBERS) for _ in range(3)] == [1, 2, 3]

"""
The rows: a table of counters, read and raised through SQLAlchemy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from consistency.acts import Place


POOL = 16
"""Connections that an engine keeps."""


class Base(DeclarativeBase):
    """
    The base of the one model.
    """


class Counter(Base):
    """
    A row whose value only grows.
    """

    __tablename__ = "counters"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(default=0)


def prepare(url: str, rows: int) -> None:
    """
    Make the table in an empty database, and rows numbered from 1.
    """
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        numbers = range(1, rows + 1)
        connection.execute(
            insert(Counter), [{"id": row, "value": 0} for row in numbers]
        )
    engine.dispose()


def engine(place: Place) -> Engine:
    """
    Make an engine whose SELECTs are counted.
    """
    made = create_engine(place.database, pool_size=POOL)
    count(made, place)
    return made


def async_engine(place: Place) -> AsyncEngine:
    """
    Make an engine for tasks whose SELECTs are counted.
    """
    made = create_async_engine(place.database, pool_size=POOL)
    count(made.sync_engine, place)
    return made


def count(made: Engine, place: Place) -> None:
    """
    Count the SELECTs that an engine sends, but for those that lock.
    """
    add = place.loads.add

    def sent(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and not statement.endswith("FOR UPDATE"):
            add()

    event.listen(made, "before_cursor_execute", sent)


def read(maker: Callable[[], Session], row: int) -> int:
    """
    Read a row's value from an entity, in a session of its own.
    """
    with maker() as session:
        return session.scalars(select(Counter).where(Counter.id == row)).one().value


async def aread(maker: Callable[[], AsyncSession], row: int) -> int:
    """
    Do the same as a task.
    """
    async with maker() as session:
        found = await session.scalars(select(Counter).where(Counter.id == row))
        return found.one().value


def write(maker: Callable[[], Session], row: int) -> int:
    """
    Raise a row's value and commit; the database lets one writer at a time do so.
    """
    with maker() as session:
        value: int = session.scalars(_raised(row)).one()
        session.commit()
        return value


async def awrite(maker: Callable[[], AsyncSession], row: int) -> int:
    """
    Do the same as a task.
    """
    async with maker() as session:
        value: int = (await session.scalars(_raised(row))).one()
        await session.commit()
        return value


def _raised(row: int) -> Any:
    raised = update(Counter).where(Counter.id == row).values(value=Counter.value + 1)
    return raised.returning(Counter.value)

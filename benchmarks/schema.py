"""
What the `orm` section queries: users of ten columns, two addresses each.
"""

from __future__ import annotations

import datetime as dt
import warnings
from decimal import Decimal

from sqlalchemy import Engine, ForeignKey, Numeric, String
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

USERS = 1000

# SQLite keeps decimals as floats; what they cost to convert is the same for all.
warnings.filterwarnings("ignore", ".*does .not. support Decimal.*", SAWarning)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    mail: Mapped[str] = mapped_column(String(120), unique=True)
    age: Mapped[int]
    active: Mapped[bool]
    score: Mapped[float]
    balance: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    born: Mapped[dt.date]
    created: Mapped[dt.datetime]
    about: Mapped[str | None]

    addresses: Mapped[list[Address]] = relationship(
        back_populates="user", order_by="Address.id"
    )


class Address(Base):
    __tablename__ = "addresses"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    street: Mapped[str] = mapped_column(String(80))
    city: Mapped[str] = mapped_column(String(80))
    code: Mapped[str] = mapped_column(String(10))

    user: Mapped[User] = relationship(back_populates="addresses")


def fill(engine: Engine) -> None:
    """
    Make the tables and what is in them.
    """
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(map(_user, range(1, USERS + 1)))


def _user(number: int) -> User:
    return User(
        id=number,
        name=f"User number {number}",
        mail=f"user{number}@example.org",
        age=18 + number % 60,
        active=number % 7 > 0,
        score=number / 7,
        balance=Decimal(number).scaleb(-2),
        born=dt.date(1960, 1, 1) + dt.timedelta(days=number),
        created=dt.datetime(2026, 1, 1) + dt.timedelta(minutes=number),  # noqa: DTZ001
        about=None if number % 3 else "Something about this user. " * 4,
        addresses=[_address(number, which) for which in (1, 2)],
    )


def _address(number: int, which: int) -> Address:
    return Address(
        street=f"{number} Long Street, flat {which}",
        city=f"City of {number % 50}",
        code=f"{10_000 + number}",
    )

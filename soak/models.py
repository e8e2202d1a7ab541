"""
The shop's tables.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """
    The shop's tables.
    """


class Order(Base):
    """
    What somebody ordered; `version` only grows.
    """

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=0)
    customer: Mapped[str]
    lines: Mapped[list[Line]] = relationship(order_by="Line.id")


class Line(Base):
    """
    A part of an order.
    """

    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    item: Mapped[str]
    amount: Mapped[int]

"""
Kinds of columns: a type for the table, and values to put in.
"""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(enum.Enum):
    """
    What an Enum column holds.
    """

    RED = "r"
    BLUE = "b"


class Shouted(sa.TypeDecorator[str]):
    """
    Text that an app's own type changes on its way in and out.
    """

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, _: Any) -> Any:
        return value and value.upper()

    def process_result_value(self, value: Any, _: Any) -> Any:
        return value and f"{value}!"


@dataclass(frozen=True)
class Kind:
    """
    What a column may be made of.
    """

    make: Callable[[str], Any]
    """Gives the type; its argument is a name that nothing else in the schema has."""
    values: tuple[Any, ...]
    compares: bool = True
    """Whether `=` has a meaning for it in the database."""


_DAY = dt.date(2024, 2, 29)
_MOMENT = dt.datetime(2024, 2, 29, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))

EVERYWHERE: dict[str, Kind] = {
    "integer": Kind(lambda _: sa.Integer(), (0, 1, -7)),
    "big": Kind(lambda _: sa.BigInteger(), (0, 2**40, -(2**40))),
    "small": Kind(lambda _: sa.SmallInteger(), (0, 1, 300)),
    "string": Kind(lambda _: sa.String(40), ("", "a", "é'\"%")),
    "text": Kind(lambda _: sa.Text(), ("", "b\nc", "x" * 300)),
    "unicode": Kind(lambda _: sa.Unicode(20), ("ß", "日本")),
    "boolean": Kind(lambda _: sa.Boolean(), (True, False)),
    "float": Kind(lambda _: sa.Float(), (0.5, -1.25), compares=False),
    "double": Kind(lambda _: sa.Double(), (0.1, 1e300), compares=False),
    "numeric": Kind(
        lambda _: sa.Numeric(12, 4),
        (Decimal("1.5000"), Decimal("-0.2500")),
        compares=False,
    ),
    "as_float": Kind(
        lambda _: sa.Numeric(8, 2, asdecimal=False), (1.5, 2.25), compares=False
    ),
    "date": Kind(lambda _: sa.Date(), (_DAY, dt.date(1970, 1, 1))),
    "time": Kind(lambda _: sa.Time(), (dt.time(1, 2, 3), dt.time(23, 59, 59, 999))),
    "datetime": Kind(lambda _: sa.DateTime(), (_MOMENT.replace(tzinfo=None),)),
    "interval": Kind(
        lambda _: sa.Interval(), (dt.timedelta(1, 2), dt.timedelta()), compares=False
    ),
    "binary": Kind(lambda _: sa.LargeBinary(), (b"", b"\0\xff"), compares=False),
    "uuid": Kind(lambda _: sa.Uuid(), (uuid.UUID(int=1), uuid.UUID(int=2))),
    "uuid_text": Kind(lambda _: sa.Uuid(as_uuid=False), (uuid.UUID(int=3).hex,)),
    "enum": Kind(lambda name: sa.Enum(Colour, name=name), tuple(Colour)),
    "enum_text": Kind(
        lambda name: sa.Enum(Colour, name=name, native_enum=False), tuple(Colour)
    ),
    "json": Kind(lambda _: sa.JSON(), ({"a": [1, {"b": None}]}, [1, "x"], 5), False),
    "pickle": Kind(lambda _: sa.PickleType(), ({"a": {1, 2}}, [(1, 2)]), False),
    "shouted": Kind(lambda _: Shouted(30), ("a", "b")),
}

POSTGRESQL: dict[str, Kind] = {
    "array": Kind(lambda _: pg.ARRAY(sa.Integer()), ([1, 2], [], [3])),
    "texts": Kind(lambda _: pg.ARRAY(sa.Text(), dimensions=1), (["a"], ["b", "c"])),
    "jsonb": Kind(lambda _: pg.JSONB(), ({"a": [1, {"b": None}]}, [1]), False),
    "aware": Kind(
        lambda _: sa.DateTime(timezone=True),
        (_MOMENT,),
    ),
    "native_interval": Kind(lambda _: pg.INTERVAL(), (dt.timedelta(3, 4),), False),
    "bytea": Kind(lambda _: pg.BYTEA(), (b"\0", b"yes"), compares=False),
}


def kinds(database: str) -> dict[str, Kind]:
    """
    Give the kinds of columns that a database has.
    """
    return EVERYWHERE | (POSTGRESQL if database == "postgresql" else {})


ALL = EVERYWHERE | POSTGRESQL


def _uuid(number: int) -> Any:
    return uuid.UUID(int=number)


KEYS: dict[str, tuple[Callable[[], Any], Callable[[int], Any]]] = {
    "int": (sa.Integer, int),
    "big": (sa.BigInteger, int),
    "string": (lambda: sa.String(20), lambda number: f"k{number}"),
    "uuid": (sa.Uuid, _uuid),
    "date": (sa.Date, lambda number: _DAY + dt.timedelta(number)),
}
"""What primary keys are made of: a type, and its value of a number."""

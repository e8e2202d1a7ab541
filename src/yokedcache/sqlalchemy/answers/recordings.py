"""
A recording: the raw rows of one statement as plain data.

It holds nothing of a live execution. Values that a caller could change are
copied for every caller; which columns hold such values is decided once.
"""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import ipaddress
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from yokedcache.errors import ValueNotStorableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IMMUTABLE = frozenset({
    type(None), bool, int, float, complex, str, bytes,
    decimal.Decimal, uuid.UUID,
    dt.date, dt.datetime, dt.time, dt.timedelta,
    ipaddress.IPv4Address, ipaddress.IPv4Network, ipaddress.IPv4Interface,
    ipaddress.IPv6Address, ipaddress.IPv6Network, ipaddress.IPv6Interface,
})  # fmt: skip
"""Types whose values are shared between recording and callers."""


_UNTOLD = (None,) * 5


class Unisolated(Exception):  # noqa: N818 - a signal to whoever records
    """
    A value that can't be copied, so can't be kept apart from its caller.
    """


@dataclass(frozen=True, slots=True)
class Recording:
    """
    The rows of one statement as the driver gave them, columns by name and type code.
    """

    description: tuple[tuple[str, Any], ...]
    rows: tuple[tuple[Any, ...], ...]
    rowcount: int = -1
    cursor_description: tuple[tuple[Any, ...], ...] = field(
        init=False, compare=False, repr=False
    )
    """What the cursor had: seven items a column, of which five say nothing."""
    _mutable: tuple[int, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """
        Work out once what every replay needs.
        """
        wide = tuple((*column, *_UNTOLD) for column in self.description)
        object.__setattr__(self, "cursor_description", wide)
        object.__setattr__(self, "_mutable", _mutable_columns(self.rows))

    def isolated_rows(self) -> Sequence[tuple[Any, ...]]:
        """
        Return rows that a caller may change without changing the recording.
        """
        if not self._mutable:
            return self.rows
        return [_each(row, self._mutable, copied) for row in self.rows]

    def packed(self) -> Packed:
        """
        Return the recording as plain data for a codec; `unpacked` takes it back.
        """
        views = tuple(
            index
            for index in self._mutable
            if any(type(row[index]) is memoryview for row in self.rows)
        )
        rows = self.rows
        if views:
            rows = tuple(_each(row, views, _bytes_of_view) for row in rows)
        return self.description, rows, self.rowcount, views

    @classmethod
    def unpacked(cls, packed: Packed) -> Recording:
        """
        Rebuild a recording from what `packed` gave.
        """
        description, rows, rowcount, views = packed
        if views:
            rows = tuple(_each(row, views, _view_of_bytes) for row in rows)
        return cls(description, rows, rowcount)


Packed = tuple[
    tuple[tuple[str, Any], ...], tuple[tuple[Any, ...], ...], int, tuple[int, ...]
]
"""Description, rows, row count, and the columns whose bytes are views of bytes."""


def _bytes_of_view(value: Any) -> Any:
    if type(value) is bytes:
        msg = "a column with both bytes and views of bytes can't be kept exactly"
        raise ValueNotStorableError(msg)
    return bytes(value) if type(value) is memoryview else value


def _view_of_bytes(value: Any) -> Any:
    return memoryview(value) if type(value) is bytes else value


def _mutable_columns(rows: Sequence[tuple[Any, ...]]) -> tuple[int, ...]:
    return tuple(
        index
        for index, cells in enumerate(zip(*rows, strict=True))
        if not IMMUTABLE.issuperset(map(type, cells))
    )


def _each(
    row: tuple[Any, ...], columns: Sequence[int], change: Callable[[Any], Any]
) -> tuple[Any, ...]:
    cells = list(row)
    for index in columns:
        cells[index] = change(cells[index])
    return tuple(cells)


def copied(value: Any) -> Any:
    """
    Return a value of which nobody else holds a changeable part.
    """
    if type(value) in IMMUTABLE:
        return value
    if isinstance(value, memoryview):
        # What psycopg2 makes of bytea; a view can't be copied, its bytes can.
        return memoryview(bytes(value))
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise Unisolated from error

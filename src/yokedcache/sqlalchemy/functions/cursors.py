"""
The driver's cursor, as an app takes it out of a result.

What it tells of the statement that SQLAlchemy sent, it may tell. Anything else counts as
done over the driver's connection (`handed`). What the app fetches by it, a result that is
being taken down doesn't see, and what was read ahead comes first.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from sqlalchemy.engine import CursorResult

from yokedcache.sqlalchemy.answers.fetching import WrappedFetch
from yokedcache.sqlalchemy.functions.handed import OURS, handed_out

_TELLING: Final = frozenset({
    "arraysize", "close", "description", "itersize", "lastrowid", "messages", "name",
    "query", "row_factory", "rowcount", "rownumber", "scrollable", "statusmessage",
    "warning_count", "withhold",
})  # fmt: skip
"""What only tells of the statement that SQLAlchemy sent, in all drivers."""

_cursor: Any = CursorResult.__dict__["cursor"]


def install() -> None:
    """
    Begin to notice who takes cursors.
    """
    setters = _cursor.__set__, _cursor.__delete__
    watched: Any = property(_taken, *setters, doc=_cursor.__doc__)
    CursorResult.cursor = watched


def uninstall() -> None:
    """
    Give SQLAlchemy its own way back.
    """
    CursorResult.cursor = _cursor


def _taken(result: Any) -> Any:
    # read a few times a statement, and for each row that is fetched alone
    cursor = _cursor.__get__(result)
    if cursor is None:
        return None
    try:
        asking = sys._getframe(1).f_globals.get("__name__", "")
    except ValueError:  # in a greenlet of its own
        asking = ""
    if asking.startswith(OURS):
        return cursor
    holder = getattr(result.connection, "_dbapi_connection", None)
    if holder is None:  # it is closed, or never was there (a hit)
        return cursor
    return HandedCursor(cursor, holder, result.cursor_strategy)


class HandedCursor:
    """
    A driver's cursor that is noticed once it does more than tell.
    """

    __slots__ = ("_cursor", "_holder", "_strategy")

    def __init__(self, cursor: Any, holder: Any, strategy: Any) -> None:
        set_own = object.__setattr__
        set_own(self, "_cursor", cursor)
        set_own(self, "_holder", holder)
        set_own(self, "_strategy", strategy)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self._cursor.__class__

    def __getattr__(self, name: str) -> Any:
        if name in HandedCursor.__slots__:  # of one that is being copied
            raise AttributeError(name)
        if name not in _TELLING:
            self._at_hand(0)
            handed_out(self._holder, "cursor was taken out of a result")
        return getattr(self._cursor, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._cursor, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._cursor, name)

    def __repr__(self) -> str:
        return repr(self._cursor)

    def __eq__(self, other: object) -> bool:
        if type(other) is HandedCursor:
            other = other._cursor
        return bool(self._cursor == other)

    def __hash__(self) -> int:
        return hash(self._cursor)

    def __enter__(self) -> Any:
        self._cursor.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._cursor.__exit__(*error)

    def _at_hand(self, most: int | None) -> list[Any]:
        strategy = self._strategy
        return strategy.give_way(most) if isinstance(strategy, WrappedFetch) else []

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def fetchone(self) -> Any:
        """
        Fetch a row.
        """
        for row in self._at_hand(1):
            return row
        return self._cursor.fetchone()

    def fetchmany(self, size: int | None = None) -> Any:
        """
        Fetch some rows.
        """
        wanted = self._cursor.arraysize if size is None else size
        rows = self._at_hand(wanted)
        if len(rows) < wanted:
            rows += self._cursor.fetchmany(wanted - len(rows))
        return rows

    def fetchall(self) -> Any:
        """
        Fetch the remaining rows.
        """
        return [*self._at_hand(None), *self._cursor.fetchall()]

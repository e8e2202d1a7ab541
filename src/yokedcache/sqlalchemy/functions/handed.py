"""
What SQLAlchemy hands out by itself, without a statement and without an event.

1. The driver's connection, from within a `Connection`, for COPY and the like, and
   the driver's cursor, from within a result. Nothing tells what an app does there,
   so until the connection goes back to its pool everything over it counts as an
   unknown write (rule 2), and a capture that was open can't tell what its function
   read. SQLAlchemy takes the same ways inside, so who asks is told by the asking
   module.
2. Instances, from a session's identity map: `get` and lazy loads give what it
   holds. A capture has to know under which versions that was read.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.orm import Session

from yokedcache.runtime.context import current_capture
from yokedcache.runtime.log import once
from yokedcache.sqlalchemy.functions.sessions import note_holder
from yokedcache.sqlalchemy.transactions.holders import existing

_OURS: Final = ("sqlalchemy.", "yokedcache.")
_TELLING: Final = frozenset({
    "arraysize", "close", "description", "fetchall", "fetchmany", "fetchone", "itersize",
    "lastrowid", "messages", "name", "query", "row_factory", "rowcount", "rownumber",
    "scrollable", "statusmessage", "warning_count", "withhold",
})  # fmt: skip
"""What only tells of the statement that SQLAlchemy sent, in all drivers."""

_connection: Any = Connection.connection
_cursor: Any = CursorResult.__dict__["cursor"]
_lookup: Any = Session._identity_lookup


def install() -> None:
    """
    Begin to notice what is handed out.
    """
    watched: Any = property(_driver_connection, doc=_connection.__doc__)
    Connection.connection = watched  # type: ignore[method-assign]
    setters = _cursor.__set__, _cursor.__delete__
    watched = property(_driver_cursor, *setters, doc=_cursor.__doc__)
    CursorResult.cursor = watched
    Session._identity_lookup = _identity_lookup  # type: ignore[assignment, method-assign]


def uninstall() -> None:
    """
    Give SQLAlchemy its own ways back.
    """
    Connection.connection = _connection  # type: ignore[method-assign]
    CursorResult.cursor = _cursor
    Session._identity_lookup = _lookup  # type: ignore[method-assign]


def _driver_connection(connection: Any) -> Any:
    # as SQLAlchemy's own property begins: this one is read many times a statement
    holder = connection._dbapi_connection
    if holder is None:
        holder = _connection.fget(connection)
    try:
        asking = sys._getframe(1).f_globals.get("__name__", "")
    except ValueError:  # AsyncConnection.get_raw_connection, in a greenlet of its own
        asking = ""
    if not asking.startswith(_OURS):
        _handed_out(holder, "connection was taken out of a Connection")
    return holder


def _driver_cursor(result: Any) -> Any:
    # read a few times a statement, and for each row that is fetched alone
    cursor = _cursor.__get__(result)
    if cursor is None:
        return None
    try:
        asking = sys._getframe(1).f_globals.get("__name__", "")
    except ValueError:  # in a greenlet of its own
        asking = ""
    if asking.startswith(_OURS):
        return cursor
    holder = getattr(result.connection, "_dbapi_connection", None)
    if holder is None:  # it is closed, or never was there (a hit)
        return cursor
    return HandedCursor(cursor, holder)


class HandedCursor:
    """
    A driver's cursor as an app is given it: noticed once it may do more than tell.
    """

    __slots__ = ("_cursor", "_holder")

    def __init__(self, cursor: Any, holder: Any) -> None:
        object.__setattr__(self, "_cursor", cursor)
        object.__setattr__(self, "_holder", holder)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self._cursor.__class__

    def __getattr__(self, name: str) -> Any:
        if name in HandedCursor.__slots__:  # of one that is being copied
            raise AttributeError(name)
        if name not in _TELLING:
            _handed_out(self._holder, "cursor was taken out of a result")
        return getattr(self._cursor, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._cursor, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._cursor, name)

    def __repr__(self) -> str:
        return repr(self._cursor)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return next(self._cursor)

    def __enter__(self) -> Any:
        self._cursor.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._cursor.__exit__(*error)

    def __eq__(self, other: object) -> bool:
        if type(other) is HandedCursor:
            other = other._cursor
        return bool(self._cursor == other)

    def __hash__(self) -> int:
        return hash(self._cursor)


def _handed_out(holder: Any, what: str) -> None:
    capture = current_capture()
    if capture is not None:
        capture.held.add(id(holder))
    state = existing(holder)
    if state is not None and not state.handed:
        state.hand_out()
        once(
            "raw_connection",
            f"handed:{state.database.serial}",
            "a driver's %s: what is written over it isn't known, so its commit drops "
            "everything cached of its database",
            what,
        )


def _identity_lookup(session: Any, *args: Any, **kwargs: Any) -> Any:
    if current_capture() is not None:
        note_holder(session)
    return _lookup(session, *args, **kwargs)

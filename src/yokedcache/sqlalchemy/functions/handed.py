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
_connection: Any = Connection.connection
_cursor: Any = CursorResult.__dict__["cursor"]
_lookup: Any = Session._identity_lookup


def install() -> None:
    """
    Begin to notice what is handed out.
    """
    watched: Any = property(_driver_connection, doc=_connection.__doc__)
    Connection.connection = watched  # type: ignore[method-assign]
    watched = property(_driver_cursor, _cursor.__set__, doc=_cursor.__doc__)
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
    if cursor is not None:
        asking = sys._getframe(1).f_globals.get("__name__", "")
        if not asking.startswith(_OURS):
            holder = getattr(result.connection, "_dbapi_connection", None)
            if holder is not None:  # else it is closed, or never was there (a hit)
                _handed_out(holder, "cursor was taken out of a result")
    return cursor


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

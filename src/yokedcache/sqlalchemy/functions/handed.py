"""
What SQLAlchemy hands out by itself, without a statement and without an event.

1. The driver's connection, from within a `Connection`, for COPY and the like.
   Nothing tells what an app does there, so until it goes back to its pool
   everything over it counts as an unknown write (rule 2), and a capture that was
   open can't tell what its function read. SQLAlchemy takes the same way inside, so
   who asks is told by the asking module. (So it is with a result's cursor: `cursors`.)
2. Instances, from a session's identity map: `get` and lazy loads give what it
   holds. A capture has to know under which versions that was read.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from yokedcache.runtime.context import current_capture
from yokedcache.runtime.log import once
from yokedcache.sqlalchemy.functions.sessions import note_holder
from yokedcache.sqlalchemy.transactions.holders import existing

OURS: Final = ("sqlalchemy.", "yokedcache.")
"""Modules that take the same ways inside begin so."""
_connection: Any = Connection.connection
_lookup: Any = Session._identity_lookup


def install() -> None:
    """
    Begin to notice what is handed out.
    """
    watched: Any = property(_driver_connection, doc=_connection.__doc__)
    Connection.connection = watched  # type: ignore[method-assign]
    Session._identity_lookup = _identity_lookup  # type: ignore[assignment, method-assign]


def uninstall() -> None:
    """
    Give SQLAlchemy its own ways back.
    """
    Connection.connection = _connection  # type: ignore[method-assign]
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
    if not asking.startswith(OURS):
        handed_out(holder, "connection was taken out of a Connection")
    return holder


def handed_out(holder: Any, what: str) -> None:
    """
    Note that an app was given something by which it may write unheard, and say so.
    """
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

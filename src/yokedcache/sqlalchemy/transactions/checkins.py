"""
Connections that come back to their pools, or leave them for good.

What was handed out raw may have written anything, and may be in the middle of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.core.tags import ANY_DATABASE
from yokedcache.runtime.log import once
from yokedcache.sqlalchemy.contexts.doubts import is_clean
from yokedcache.sqlalchemy.contexts.settings import ANYTHING
from yokedcache.sqlalchemy.databases import several
from yokedcache.sqlalchemy.transactions import unheard
from yokedcache.sqlalchemy.transactions.blame import Blame
from yokedcache.sqlalchemy.transactions.ends import end
from yokedcache.sqlalchemy.transactions.fences import bump_everywhere
from yokedcache.sqlalchemy.transactions.holders import (
    driver_of,
    existing,
    in_transaction,
)
from yokedcache.sqlalchemy.transactions.orphans import abandon_orphans

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState

_detached: dict[int, ConnectionState] = {}
"""States of connections that left their pools, by the `id` of the driver's."""


def on_checkin(dbapi_connection: Any, record: Any) -> None:
    """
    A connection comes back; one handed out raw may have written anything.
    """
    state = existing(record)
    if state is None:
        if dbapi_connection is not None:  # it was taken before anyone listened
            bump_everywhere((ANY_DATABASE,), Blame())
        return
    if state.raw or state.handed:
        _came_back(state, dbapi_connection)
    elif state.unheard:
        unheard.checked_in(state, dbapi_connection)
    state.check_in()


def _came_back(state: ConnectionState, dbapi_connection: Any) -> None:
    once(
        "raw_connection",
        str(state.database.serial),
        "a raw connection came back: what it wrote isn't known, so everything "
        "cached of its database was dropped; use Engine.connect()",
    )
    # with no reset on return, a transaction goes on with the next to use it
    begun = bool(in_transaction(driver_of(dbapi_connection)))
    if begun or not is_clean(dbapi_connection, state.database.dialect_name):
        state.settings.put(ANYTHING, state.database.identity)
    several.came_back_raw(state.database, dbapi_connection, begun=begun)
    _announce_anything(state)
    state.take_back()
    if begun:
        state.note_unknown()
        state.blame.note("what was sent over a raw connection", ())


def on_detach(dbapi_connection: Any, record: Any) -> None:
    """
    A connection leaves its pool: it will be closed, and not come back.
    """
    state = existing(record)
    if state is not None:
        _detached[id(dbapi_connection)] = state
        state.detached = True


def on_close_detached(dbapi_connection: Any) -> None:
    """
    A connection that left its pool is closed.
    """
    state = _detached.pop(id(dbapi_connection), None)
    if state is None:
        return
    if state.raw or state.handed:
        _announce_anything(state)
        state.take_back()
    unheard.left(state.database, state.database.pool())
    on_loss(state)


def on_loss(state: ConnectionState) -> None:
    """
    A connection was closed or given up; the server rolls back what was open.
    """
    if state.detached:
        for key, other in list(_detached.items()):
            if other is state:
                _detached.pop(key, None)
    end(state)
    state.settings.close()
    abandon_orphans(state)


def _announce_anything(state: ConnectionState) -> None:
    state.note_unknown()
    state.blame.note("what was sent over a raw connection", ())
    bump_everywhere(state.tags(), state.blame)

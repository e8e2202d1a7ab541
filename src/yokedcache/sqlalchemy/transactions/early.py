"""
Connections that are older than the first cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.transactions.connections import state_of
from yokedcache.sqlalchemy.transactions.holders import info_of

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState


def taken_over(holder: Any, dialect: Any) -> ConnectionState | None:
    """
    Take a transaction that began before anyone listened for one that wrote anything.

    `None` for a new connection that the pool only tries.
    """
    info = info_of(holder)
    if info is None:
        return None
    state = state_of(info, database_of(dialect))
    state.note_unknown()
    return state

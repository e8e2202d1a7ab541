"""
Tags that are invalidated by hand while a transaction is open.

Whoever refills before the commit reads the old rows, so the commit invalidates the
tags once more: as part of what a connection has written or will have, and for sessions
that write nothing, right after their commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.sqlalchemy.functions import sessions
from yokedcache.sqlalchemy.transactions import connections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from yokedcache.machine import Machine

_AGAIN: Final = "_yokedcache_again"
"""Where a session keeps the tags to be invalidated when it has committed."""


def invalidated(machine: Machine, names: Iterable[str]) -> None:
    """
    Have the transactions that are open invalidate some tags again.
    """
    names = tuple(names)
    for state in connections.in_use():
        state.note_tags(names)
    for session in sessions.in_use():
        if session.in_transaction():
            again = session.__dict__.setdefault(_AGAIN, {})
            again.setdefault(machine, set()).update(names)


def on_end(session: Session, *_: Any) -> None:
    """
    A session committed or rolled back: do what it was left.
    """
    if not session.in_nested_transaction():
        again = session.__dict__.pop(_AGAIN, None)
        for machine, names in (again or {}).items():
            machine.store.bump(names)

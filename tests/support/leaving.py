"""
Leave nothing to other tests.

What is left goes on in the middle of another test: the connection of a session is
collected, long after its database has gone, and the error that is logged of it keeps
alive whatever ran then; caches are told of commits; lost commits come to an end.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy.orm import close_all_sessions
from sqlalchemy.orm.session import _sessions

from yokedcache import cache
from yokedcache.machine import machines
from yokedcache.sqlalchemy.functions import sessions
from yokedcache.sqlalchemy.transactions import fences

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """
    Begin without default cache and sessions in use, and fail who leaves any open.

    Sessions that wait for the collector would keep functions from being served.
    """
    cache._default = None
    sessions._scope().clear()
    sessions._alive.clear()
    yield
    in_transaction = [one for one in _sessions.values() if one._transaction]
    close_all_sessions()
    open_caches = machines()
    for machine in open_caches:
        machine.close()
    for lost in list(fences._kept):
        lost.lift()
    assert not in_transaction, "a session was left in a transaction"
    assert not open_caches, "a cache was left open"

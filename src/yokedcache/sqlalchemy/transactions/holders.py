"""
What the pool holds a driver's connection with, and what the driver tells of it.

Nothing here takes a round trip.
"""

from __future__ import annotations

import contextlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.transactions.connections import ConnectionState

KEY = "yokedcache"
"""Where the state lies in the `info` of a pooled connection."""


def existing(holder: Any) -> ConnectionState | None:
    """
    Give the state of a pooled connection, or `None` for what the pool doesn't know.
    """
    # asked many times a statement, so in one frame; a new one that is only tried, and
    # what isn't a connection of a pool's, have no `info`
    try:
        info = holder.info
    except (AttributeError, NotImplementedError):
        return None
    return info.get(KEY) if type(info) is dict else None


def info_of(holder: Any) -> dict[Any, Any] | None:
    """
    Give what the pool keeps with a connection; a new one that is only tried has nothing.
    """
    try:
        info = holder.info
    except (AttributeError, NotImplementedError):
        return None
    return info if type(info) is dict else None


def pooled(connection: Connection) -> Any:
    """
    Give the pool's connection inside: what `Connection.connection` gives, in one frame.
    """
    holder = connection._dbapi_connection
    return connection.connection if holder is None else holder


def is_open(connection: Connection) -> bool | None:
    """
    Ask the driver whether a transaction is open; `None` if it doesn't tell.
    """
    holder = pooled(connection)
    open_now = getattr(holder.dbapi_connection, "in_transaction", None)
    if open_now.__class__ is bool:  # as sqlite3 tells it
        return open_now
    return in_transaction(driver_of(holder))


def autocommit(connection: Connection) -> bool:
    """
    Tell whether what was sent, or will be sent next, is its own commit.
    """
    holder = pooled(connection)
    opened = driver_of(holder)
    if connection.dialect.name == "sqlite":
        if opened.in_transaction:  # an app may send its own BEGIN
            return False
        return (
            opened.isolation_level is None
            or getattr(opened, "autocommit", None) is True
        )
    begun = in_transaction(opened)
    if begun is None:
        state = existing(holder)
        begun = state is not None and state.begun
    if begun:
        return False
    driver: Any = holder.dbapi_connection
    # MySQL's drivers have a method `autocommit` that sets it
    for name in ("get_autocommit", "autocommit"):
        mode = getattr(driver, name, None)
        if mode is not None:
            return bool(mode() if callable(mode) else mode)
    return True


def driver_of(holder: Any) -> Any:
    """
    Give the driver's own connection, also of one that has left its pool.
    """
    adapter = getattr(holder, "dbapi_connection", holder)
    return getattr(adapter, "driver_connection", adapter)


def in_transaction(driver: Any) -> bool | None:
    """
    Ask a driver, without a round trip, whether a transaction is open.

    `None` if it doesn't tell.
    """
    kind = type(driver)
    ask = _known.get(kind)
    if ask is None:
        if len(_known) >= _MOST_KINDS:
            _known.clear()
        ask = _known[kind] = _way_to_ask(driver)
    return ask(driver)


def _way_to_ask(driver: Any) -> Callable[[Any], bool | None]:
    for name in ("in_transaction", "is_in_transaction"):
        asked = getattr(driver, name, None)
        if asked is not None:
            read = attrgetter(name)
            if callable(asked):
                return lambda driver: bool(read(driver)())
            return lambda driver: bool(read(driver))
    for way in _BY_STATUS_OF_LIBPQ:
        with contextlib.suppress(AttributeError):
            way(driver)
            return way
    return _by_server_status


def _by_server_status(driver: Any) -> bool | None:
    status = getattr(driver, "server_status", None)
    return bool(status & _SERVER_IN_TRANSACTION) if type(status) is int else None


_MOST_KINDS = 100
_known: dict[type[Any], Callable[[Any], bool | None]] = {}
"""How the drivers' connections are asked, by their class: twice a statement."""

_BY_STATUS = {0: False, 2: True, 3: True}
"""`PQTRANS_IDLE`, `PQTRANS_INTRANS` and `PQTRANS_INERROR` of libpq."""
_BY_STATUS_OF_LIBPQ: tuple[Callable[[Any], bool | None], ...] = (
    lambda driver: _BY_STATUS.get(driver.pgconn.transaction_status),  # psycopg
    lambda driver: _BY_STATUS.get(driver.info.transaction_status),  # psycopg2
)
_SERVER_IN_TRANSACTION = 1
"""`SERVER_STATUS_IN_TRANS` of MySQL's protocol."""

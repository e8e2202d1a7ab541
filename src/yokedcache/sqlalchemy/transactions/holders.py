"""
What the pool holds a driver's connection with, and what the driver tells of it.

Nothing here takes a round trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.transactions.connections import ConnectionState

KEY = "yokedcache"
"""Where the state lies in the `info` of a pooled connection."""


def existing(holder: Any) -> ConnectionState | None:
    """
    Give the state of a pooled connection, or `None` for what the pool doesn't know.
    """
    info = info_of(holder)
    return None if info is None else info.get(KEY)


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
    if connection.dialect.name == "sqlite":
        file = driver_of(pooled(connection))
        if file.in_transaction:  # an app may send its own BEGIN
            return False
        return file.isolation_level is None or getattr(file, "autocommit", None) is True
    begun = in_transaction(driver_of(pooled(connection)))
    if begun is None:
        state = existing(pooled(connection))
        begun = state is not None and state.begun
    if begun:
        return False
    driver: Any = pooled(connection).dbapi_connection
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
    for name in ("in_transaction", "is_in_transaction"):
        asked = getattr(driver, name, None)
        if asked is not None:
            return bool(asked() if callable(asked) else asked)
    status = getattr(getattr(driver, "info", None), "transaction_status", None)
    if status is not None:
        return _BY_STATUS.get(int(status))
    status = getattr(driver, "server_status", None)
    return bool(status & _SERVER_IN_TRANSACTION) if type(status) is int else None


_BY_STATUS = {0: False, 2: True, 3: True}
"""`PQTRANS_IDLE`, `PQTRANS_INTRANS` and `PQTRANS_INERROR` of libpq."""
_SERVER_IN_TRANSACTION = 1
"""`SERVER_STATUS_IN_TRANS` of MySQL's protocol."""

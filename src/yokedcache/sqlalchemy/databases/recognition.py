"""
Whether a database is still the one that was known, asked over each new connection.

A file or database may have been dropped and made anew, a server may have been
restored, failed over or crashed and lost commits: then what was read before may be
of a future that never was. One question for each connection that is opened.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.databases.identity import (
    IdentityUnknown,
    database_identity,
    server_epoch,
)
from yokedcache.sqlalchemy.names import database_tag
from yokedcache.sqlalchemy.transactions.blame import Blame
from yokedcache.sqlalchemy.transactions.fences import bump_everywhere
from yokedcache.sqlalchemy.transactions.holders import driver_of, in_transaction

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.databases.database import Database


def recognise(database: Database, dbapi_connection: Any) -> None:
    """
    Drop what was read of a database that a new connection shows to be another.
    """
    before = database.identity
    if before is None or database.in_memory:
        return
    # what a listener of the app's has just set would be undone with its transaction
    begun = in_transaction(driver_of(dbapi_connection))
    try:
        identity = database_identity(dbapi_connection, database.dialect_name, None)
        epoch = server_epoch(dbapi_connection, database.dialect_name)
    except IdentityUnknown:  # a broken connection says so to its user
        identity = epoch = ""
    finally:
        if not begun:
            _end(dbapi_connection)
    if (identity, epoch) == (before, database.epoch):
        return
    database.forget()
    blame = Blame()
    blame.note("a new connection that leads to another database or server", ())
    bump_everywhere((database_tag(before),), blame)


def _end(dbapi_connection: Any) -> None:
    """
    Leave no transaction behind: this one is the library's own.
    """
    with contextlib.suppress(Exception):
        dbapi_connection.rollback()

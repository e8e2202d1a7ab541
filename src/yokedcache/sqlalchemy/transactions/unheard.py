"""
What an app's listeners may write over a cursor or a driver's connection, unheard.

They are called inside SQLAlchemy, and what they send passes none of its doors. So it
counts as an unknown write (rule 2): the transaction that it may be part of drops
everything of its database, and so does what may have been its own commit. Not if a
listener's code shows that it writes nothing (`contexts.listeners`), or if the app has
said of the engine what its answers vary on, and so knows what its listeners do.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.pool.base import _ConnectionRecord

from yokedcache.runtime.log import once
from yokedcache.sqlalchemy.asynchronous import AsyncEngine
from yokedcache.sqlalchemy.contexts.listeners import PoolWatch, Watch, stranger_on
from yokedcache.sqlalchemy.databases.database import database_of, watch_of
from yokedcache.sqlalchemy.transactions.blame import Blame
from yokedcache.sqlalchemy.transactions.fences import bump_everywhere
from yokedcache.sqlalchemy.transactions.holders import (
    autocommit,
    driver_of,
    existing,
    in_transaction,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection
    from sqlalchemy.pool import Pool

    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState

_POOL: Final = "_yokedcache_pool_watch"
_SENDER: Final = "_yokedcache_sender"
_AFTER: Final = "post_exec"
"""The last that SQLAlchemy calls of an execution, after all its listeners."""
_record: Any = _ConnectionRecord
_checkin: Any = _ConnectionRecord.checkin


def vouch(bind: Any) -> None:
    """
    Take an app's word for the listeners of an engine.
    """
    engine = bind.sync_engine if isinstance(bind, AsyncEngine) else bind
    dialect = getattr(engine, "dialect", None)
    if dialect is not None:
        database_of(dialect).vouched = True


def believe(state: ConnectionState) -> None:
    """
    Take it once a session is at work.
    """
    state.database.vouched = True
    if state.unheard:
        state.hear()


def checked_out(state: ConnectionState, pool: Pool, *, new: bool) -> None:
    """
    A connection is handed to those who listen on its pool.
    """
    watch = _watch(pool)
    place = watch.passing or (watch.opening if new else None)
    if place is not None and not state.database.vouched:
        state.suspect(place)


def announce(state: ConnectionState) -> None:
    """
    Drop what listeners may have changed, and committed by themselves.
    """
    blame_listener(state)
    bump_everywhere(state.tags(), state.blame)


def blame_listener(state: ConnectionState) -> None:
    """
    Say that what is about to be dropped is dropped for a listener's sake.
    """
    if state.unheard is not None:
        tell(state.database, state.unheard)
        state.blame.note(f"a listener: {state.unheard}", ())


def executing(connection: Connection, state: ConnectionState, context: Any) -> None:
    """
    A statement is about to be sent, on a connection of which somebody is told.
    """
    if state.database.vouched:
        return
    place = _sender(connection)
    if place is None:
        return
    state.suspect(place)
    if _AFTER not in context.__dict__ and autocommit(connection):
        context.post_exec = functools.partial(_executed, state, context.post_exec)


def _executed(state: ConnectionState, original: Callable[[], Any]) -> Any:
    announce(state)
    return original()


def checked_in(state: ConnectionState, dbapi_connection: Any) -> None:
    """
    A connection comes back that was not reset.
    """
    announce(state)
    if not in_transaction(driver_of(dbapi_connection)):
        state.settle()


def left(database: Database, pool: Pool | None) -> None:
    """
    A connection was handed to those who listen for its return.
    """
    place = None if pool is None else _watch(pool).leaving
    if place is None or database.vouched:
        return
    tell(database, place)
    blame = Blame()
    blame.note(f"a listener: {place}", ())
    bump_everywhere(database.tags_written((), unknown=True), blame)


def tell(database: Database, place: str) -> None:
    """
    Say once who it is that isn't heard.
    """
    once(
        "unheard",
        f"{database.serial}:{place}",
        "what a listener writes over the cursor or connection that it is given isn't "
        "known, so each use of it drops everything cached of its database: %s. If it "
        "writes nothing, say what answers vary on: attach(..., vary=...), or vary=None "
        "for nothing; if it does, let it also call cache.wrote(connection, tables).",
        place,
    )


def uninstall() -> None:
    """
    Give SQLAlchemy its own way back.
    """
    _record.checkin = _checkin


def _watch(pool: Pool) -> PoolWatch:
    watch: PoolWatch | None = pool.__dict__.get(_POOL)
    if watch is None or not watch.holds():
        watch = pool.__dict__[_POOL] = PoolWatch(pool)
        if watch.leaving:  # else nobody pays
            _record.checkin = _given_back
    return watch


def _given_back(record: Any, *args: Any, **kw: Any) -> None:
    state = existing(record)
    try:
        _checkin(record, *args, **kw)
    finally:
        if state is not None:
            left(state.database, state.database.pool())


def _sender(connection: Connection) -> str | None:
    watch = watch_of(connection.engine)
    known: tuple[Watch, str | None] | None = connection.__dict__.get(_SENDER)
    if known is None or known[0] is not watch:
        known = (watch, watch.sender or stranger_on(connection))
        connection.__dict__[_SENDER] = known
    return known[1]

"""
Listens to every engine of the process.

What is read, what is written, and when it is committed.

Installed once a cache exists and SQLAlchemy is there. Listeners stand on the
classes `Pool` and `Session`; what is sent and how transactions end is caught on
both sides of the dialects' methods (`wrapping`).
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from yokedcache.machine import machines
from yokedcache.runtime import surroundings
from yokedcache.runtime.context import current_capture
from yokedcache.sqlalchemy import sharing
from yokedcache.sqlalchemy.contexts import registrations, varying
from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.databases.recognition import recognise
from yokedcache.sqlalchemy.functions import cursors, handed, sessions
from yokedcache.sqlalchemy.functions.scenes import examiner
from yokedcache.sqlalchemy.names import database_tag
from yokedcache.sqlalchemy.transactions import (
    by_hand,
    checkins,
    sending,
    unheard,
    wrapping,
)
from yokedcache.sqlalchemy.transactions.connections import state_of
from yokedcache.sqlalchemy.transactions.fences import bump_everywhere
from yokedcache.sqlalchemy.transactions.holders import existing
from yokedcache.sqlalchemy.transactions.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Callable

_make: Any = Connection.__init__
_dispose: Any = Engine.dispose


def install() -> None:
    """
    Begin to listen; what is installed already stays as it is.
    """
    for target, name, listener in _LISTENERS:
        if not event.contains(target, name, listener):
            event.listen(target, name, listener)
    Connection.__init__ = _made  # type: ignore[assignment, method-assign]
    if Engine.dispose is _dispose:  # else somebody has wrapped it since
        Engine.dispose = _disposed  # type: ignore[assignment, method-assign]
    wrapping.install()
    handed.install()
    cursors.install()
    registrations.install()
    surroundings.register(examiner)
    if any(machine.store.shares for machine in machines()):
        sharing.install()


def uninstall() -> None:
    """
    Stop listening; for tests of what happens without.
    """
    for target, name, listener in _LISTENERS:
        if event.contains(target, name, listener):
            event.remove(target, name, listener)
    Connection.__init__ = _make  # type: ignore[method-assign]
    Engine.dispose = _dispose  # type: ignore[method-assign]
    wrapping.uninstall()
    handed.uninstall()
    cursors.uninstall()
    unheard.uninstall()
    registrations.uninstall()


@functools.wraps(_make)
def _made(connection: Connection, /, *args: Any, **kw: Any) -> None:
    """
    Make a `Connection`, and note that its checkout wasn't a raw one.

    (A listener on the event of it would be paid for at each event of connections.)
    """
    _make(connection, *args, **kw)
    state = existing(connection._dbapi_connection)
    if state is not None:  # else a new one is only tried, or it is older than the cache
        state.raw = False
        capture = current_capture()
        if capture is not None:
            capture.held.discard(state)
        if state.unheard:
            unheard.announce(state)


@functools.wraps(_dispose)
def _disposed(engine: Engine, /, *args: Any, **kw: Any) -> None:
    """
    Dispose of an engine, and drop what was kept of its SQLite database in memory.

    One in memory may be gone with it, and a file may be replaced before anybody opens
    it again. Shared stores aren't told: each process that ends would empty them.
    (A listener would be paid for at each event of connections as well.)
    """
    _dispose(engine, *args, **kw)
    if engine.dialect.name == "sqlite":
        tag = database_of(engine.dialect).server_tag
        for machine in machines():
            if not machine.store.shares:
                machine.store.bump((tag,))


def _on_checkout(dbapi_connection: Any, record: Any, proxy: Any) -> None:
    state = existing(record)
    new = state is None
    if state is None:
        dialect = proxy._pool._dialect
        wrap(dialect)
        database = database_of(dialect)
        recognise(database, dbapi_connection)
        database.pool = weakref.ref(proxy._pool)
        state = state_of(record.info, database)
    state.raw = True
    capture = current_capture()
    if capture is not None:
        capture.held.add(state)
    state.check_out()
    unheard.checked_out(state, proxy._pool, new=new)


def _on_gone(dbapi_connection: Any, record: Any, *_: Any) -> None:  # noqa: ARG001
    """
    A pooled connection was closed or given up.
    """
    state = existing(record)
    if state is not None:
        checkins.on_loss(state)


def _on_connect(dbapi_connection: Any, record: Any) -> None:  # noqa: ARG001
    """
    A new connection: an in-memory database is a new one, too.
    """
    state = existing(record)
    if state is not None and state.database.in_memory:
        state.blame.note("a new connection to a database in memory", ())
        bump_everywhere((database_tag(state.database.identity or ""),), state.blame)


_LISTENERS: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (Engine, "handle_error", sending.on_error),
    (Pool, "checkout", _on_checkout),
    (Pool, "checkin", checkins.on_checkin),
    (Pool, "detach", checkins.on_detach),
    (Pool, "close_detached", checkins.on_close_detached),
    (Pool, "connect", _on_connect),
    (Pool, "close", _on_gone),
    (Pool, "invalidate", _on_gone),
    (Session, "after_begin", varying.on_begin),
    (Session, "after_commit", sessions.on_commit),
    (Session, "after_soft_rollback", sessions.on_rollback),
    (Session, "after_commit", by_hand.on_end),
    (Session, "after_soft_rollback", by_hand.on_end),
    (Session, "transient_to_pending", sessions.on_pending),
    (Session, "detached_to_persistent", sessions.on_attached),
)

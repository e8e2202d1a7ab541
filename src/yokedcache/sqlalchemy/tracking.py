"""
Listens to every engine of the process.

What is read, what is written, and when it is committed.

Installed once a cache exists and SQLAlchemy is there. Listeners stand on the
classes `Engine`, `Pool` and `Session`; the commit itself is caught on both
sides (`ends`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from yokedcache.runtime import surroundings
from yokedcache.runtime.log import once
from yokedcache.sqlalchemy import (
    by_hand,
    checkins,
    handed,
    reads,
    registrations,
    sessions,
    varying,
)
from yokedcache.sqlalchemy.beginning import meet
from yokedcache.sqlalchemy.called import with_functions
from yokedcache.sqlalchemy.completing import complete
from yokedcache.sqlalchemy.connections import (
    ConnectionState,
    autocommit,
    existing,
    pooled,
    state_of,
)
from yokedcache.sqlalchemy.databases import database_of
from yokedcache.sqlalchemy.effects import commits_itself, note_settings
from yokedcache.sqlalchemy.ends import wrap
from yokedcache.sqlalchemy.facade import SENT
from yokedcache.sqlalchemy.fences import (
    bump_everywhere,
    fence_statement,
    keep_statement,
    lift_statement,
)
from yokedcache.sqlalchemy.names import database_tag
from yokedcache.sqlalchemy.recognition import recognise
from yokedcache.sqlalchemy.rewriting import changed
from yokedcache.sqlalchemy.scenes import examiner
from yokedcache.sqlalchemy.snapshots import before_statement
from yokedcache.sqlalchemy.statements import analysis_of, placed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.analysis import Analysis

_NOTED = "_yokedcache_noted"
"""Where an execution's context keeps the analysis that was noted for it."""


def install() -> None:
    """
    Begin to listen; what is installed already stays as it is.
    """
    for target, name, listener in _LISTENERS:
        if not event.contains(target, name, listener):
            event.listen(target, name, listener)
    handed.install()
    registrations.install()
    surroundings.register(examiner)


def uninstall() -> None:
    """
    Stop listening; for tests of what happens without.
    """
    for target, name, listener in _LISTENERS:
        if event.contains(target, name, listener):
            event.remove(target, name, listener)
    handed.uninstall()
    registrations.uninstall()


def _on_connection(connection: Connection) -> None:
    """
    A `Connection` was made: its checkout wasn't a raw one.
    """
    wrap(connection.dialect)
    info = pooled(connection).info
    state_of(info, database_of(connection.dialect)).raw = False
    meet(connection)


def _on_checkout(dbapi_connection: Any, record: Any, proxy: Any) -> None:
    state = existing(record)
    if state is None:
        dialect = proxy._pool._dialect
        wrap(dialect)
        recognise(database_of(dialect), dbapi_connection)
        state = state_of(record.info, database_of(dialect))
    state.raw = True
    state.check_out()


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


def _before_cursor(  # noqa: PLR0917 - as SQLAlchemy calls it
    connection: Connection,
    cursor: Any,  # noqa: ARG001
    statement: str,
    parameters: Any,  # noqa: ARG001
    context: Any,
    executemany: bool,  # noqa: ARG001, FBT001
) -> None:
    """
    A statement is about to be sent: note what it will read and write.
    """
    state = existing(pooled(connection))
    if state is None:
        _take_over(connection)
        state = state_of(pooled(connection).info, database_of(connection.dialect))
    analysis = analysis_of(context, statement, connection.dialect)
    if analysis.schemas:
        analysis = placed(analysis, state.database)
    before_statement(connection, state, analysis)
    analysis = with_functions(connection, state, analysis)
    if analysis.reads or analysis.uncacheable is None:
        reads.note_safely(connection, state, analysis)
    # the rows of a flush may be sent one by one, as one execution
    again = context is not None and context.__dict__.get(_NOTED) is analysis
    if _matters(analysis) and not (again and state.writes):
        _note_effects(connection, state, analysis, statement)
        if context is not None and state.fences is None:  # else each is a commit
            context.__dict__[_NOTED] = analysis
    if context is not None and not again and connection.dialect.name == "sqlite":
        state.outlook.note_execution(context)


def _matters(analysis: Analysis) -> bool:
    return bool(
        analysis.writes
        or analysis.unknown_write
        or analysis.ddl
        or analysis.context
        or analysis.isolation
        or analysis.temporary
        or analysis.transaction
    )


def _note_effects(
    connection: Connection, state: ConnectionState, analysis: Analysis, statement: str
) -> None:
    note_settings(connection, state, analysis, statement)
    if analysis.ddl:
        state.change_catalogue()
    if analysis.unknown_write:
        once(
            "unknown_write",
            statement[:200],
            "what this statement writes isn't known, so its commit drops everything "
            "cached of its database: %.200s",
            statement,
        )
    if analysis.writes or analysis.unknown_write or analysis.ddl:
        if not (state.unknown and state.database.identity):
            # an engine that only writes has never been asked who its database is
            state.database.learn(pooled(connection))
        sessions.wrote(state)
        state.note(analysis)
        state.blame.note(statement, [table for _, table in analysis.writes])
    if state.dirty and (
        analysis.transaction or commits_itself(connection, state, analysis)
    ):
        fence_statement(state, pooled(connection))


def _take_over(connection: Connection, *_: Any) -> None:
    """
    Take a transaction that began before anyone listened for one that wrote anything.
    """
    if existing(pooled(connection)) is None:
        wrap(connection.dialect)
        state = state_of(pooled(connection).info, database_of(connection.dialect))
        state.note_unknown()


def _after_cursor(  # noqa: PLR0917 - as SQLAlchemy calls it
    connection: Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,  # noqa: ARG001, FBT001
) -> None:
    """
    A statement was sent; one that commits by itself has done so.
    """
    if context is not None:
        context.__dict__[SENT] = (statement, parameters)
    state = existing(pooled(connection))
    if state is None:
        return
    state.outlook.sent()
    if context is not None and changed(context, statement, connection.dialect.name):
        rewritten = analysis_of(None, statement, connection.dialect)
        rewritten = placed(rewritten, state.database)
        if _matters(rewritten):
            _note_effects(connection, state, rewritten, statement)
    if state.fences is not None:
        complete(connection, cursor, context)
        lift_statement(state)
        if autocommit(connection):
            state.settle()


def _on_error(context: Any) -> None:
    """
    A statement failed; one that commits by itself may have done so, or may do so yet.
    """
    connection = context.connection
    if connection is not None and not connection.closed and not connection.invalidated:
        state = existing(pooled(connection))
        if state is not None:
            state.outlook.failed(context.execution_context)
            if _answered(context):
                lift_statement(state)
            else:
                keep_statement(state)
            if state.detached and context.is_disconnect:
                checkins.on_loss(state)


def _answered(context: Any) -> bool:
    """
    Tell whether the server has said that a statement failed.
    """
    error = context.dialect.loaded_dbapi.Error
    return isinstance(context.original_exception, error) and not context.is_disconnect


_LISTENERS: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (Engine, "engine_connect", _on_connection),
    (Engine, "before_cursor_execute", _before_cursor),
    (Engine, "after_cursor_execute", _after_cursor),
    (Engine, "handle_error", _on_error),
    (Engine, "commit", _take_over),
    (Engine, "commit_twophase", _take_over),
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

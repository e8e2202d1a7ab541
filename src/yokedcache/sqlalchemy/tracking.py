"""
Listens to every engine of the process.

What is read, what is written, and when it is committed.

Installed once a cache exists and SQLAlchemy is there. Listeners stand on the
classes `Engine`, `Pool` and `Session`; the commit itself is caught on both
sides by wrapping `do_commit` and its kin on each engine's dialect object, the
first time a connection of it is seen: nothing public runs after a commit that
no session makes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from yokedcache.runtime import surroundings
from yokedcache.runtime.log import once
from yokedcache.sqlalchemy import (
    by_hand,
    handed,
    reads,
    registrations,
    sessions,
    several,
    varying,
)
from yokedcache.sqlalchemy.beginning import meet
from yokedcache.sqlalchemy.called import with_functions
from yokedcache.sqlalchemy.connections import (
    ConnectionState,
    autocommit,
    existing,
    pooled,
    state_of,
)
from yokedcache.sqlalchemy.contexts import ANYTHING
from yokedcache.sqlalchemy.databases import database_of
from yokedcache.sqlalchemy.doubts import is_clean
from yokedcache.sqlalchemy.effects import commits_itself, note_settings
from yokedcache.sqlalchemy.facade import SENT
from yokedcache.sqlalchemy.fences import (
    abandon_orphans,
    bump_everywhere,
    commit_announced,
    fence_statement,
    lift_statement,
    settle_orphans,
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

_WRAPPED = "_yokedcache_wrapped"
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
    _wrap(connection.dialect)
    info = pooled(connection).info
    state_of(info, database_of(connection.dialect)).raw = False
    meet(connection)


def _on_checkout(dbapi_connection: Any, record: Any, proxy: Any) -> None:
    state = existing(record)
    if state is None:
        dialect = proxy._pool._dialect
        _wrap(dialect)
        recognise(database_of(dialect), dbapi_connection)
        state = state_of(record.info, database_of(dialect))
    state.raw = True
    state.settings.check_out()


def _on_checkin(dbapi_connection: Any, record: Any) -> None:
    """
    A connection comes back; one handed out raw may have written anything.
    """
    state = existing(record)
    if state is not None and (state.raw or state.handed):
        once(
            "raw_connection",
            str(state.database.serial),
            "a raw connection came back: what it wrote isn't known, so everything "
            "cached of its database was dropped; use Engine.connect()",
        )
        state.note_unknown()
        if not is_clean(dbapi_connection, state.database.dialect_name):
            state.settings.put(ANYTHING, state.database.identity)
        state.blame.note("what was sent over a raw connection", ())
        several.came_back_raw(state.database, dbapi_connection)
        bump_everywhere(state.tags(), state.blame)
        state.take_back()
    if state is not None:
        state.check_in()


def _on_gone(dbapi_connection: Any, record: Any, *_: Any) -> None:  # noqa: ARG001
    """
    A connection was closed or given up; the server rolls back what was open.
    """
    state = existing(record)
    if state is not None:
        _end(state)
        state.settings.close()
        abandon_orphans(state)


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
    if state is None:  # this transaction began before anyone listened
        _wrap(connection.dialect)
        state = state_of(pooled(connection).info, database_of(connection.dialect))
        state.note_unknown()
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
        fence_statement(state)


def _after_cursor(  # noqa: PLR0917 - as SQLAlchemy calls it
    connection: Connection,
    cursor: Any,  # noqa: ARG001
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
        lift_statement(state)
        if autocommit(connection):
            state.settle()


def _on_error(context: Any) -> None:
    """
    A statement failed; one that commits by itself may have done so.
    """
    connection = context.connection
    if connection is not None and not connection.closed and not connection.invalidated:
        state = existing(pooled(connection))
        if state is not None:
            state.outlook.failed()
            lift_statement(state)


def _end(state: ConnectionState) -> None:
    """
    A transaction ended without a commit of ours: bump what it had written.
    """
    state.outlook.end()
    lift_statement(state)
    if state.dirty:
        tags, blame = state.tags(), state.blame
        if state.unknown:
            state.database.forget_catalogue()
        state.settle()
        bump_everywhere(tags, blame)


def _wrap(dialect: Any) -> None:
    """
    Stand on both sides of a dialect's commits and rollbacks.
    """
    if _WRAPPED in dialect.__dict__:
        return
    dialect.__dict__[_WRAPPED] = True
    dialect.do_commit = functools.partial(_do_commit, dialect.do_commit)
    dialect.do_rollback = functools.partial(_do_rollback, dialect.do_rollback)
    for name in ("do_commit_twophase", "do_prepare_twophase"):
        original = getattr(dialect, name)
        setattr(dialect, name, functools.partial(_do_twophase, original))
    original = dialect.do_rollback_twophase
    dialect.do_rollback_twophase = functools.partial(_undo_twophase, original)
    if dialect.name == "sqlite":
        original = dialect.do_release_savepoint
        dialect.do_release_savepoint = functools.partial(_do_release, original)


def _do_commit(original: Callable[[Any], Any], holder: Any) -> Any:
    state = existing(holder)
    if state is None:
        return original(holder)
    if not state.dirty:
        result = original(holder)
        state.begun = False
        state.outlook.end()
        state.settings.commit()
        return result
    lift_statement(state)
    result = commit_announced(state, functools.partial(original, holder))
    _committed(state)
    return result


def _committed(state: ConnectionState) -> None:
    if state.unknown:
        state.database.forget_catalogue()
    state.outlook.end()
    state.settle()
    state.settings.commit()


def _do_rollback(original: Callable[[Any], Any], holder: Any) -> Any:
    result = original(holder)
    state = existing(holder)
    if state is not None:
        state.begun = False
        _end(state)
        state.settings.rollback()
        settle_orphans(state)
    return result


def _do_release(original: Callable[..., Any], connection: Connection, name: str) -> Any:
    """
    On SQLite, releasing the outermost savepoint is a commit if no BEGIN was sent.
    """
    state = existing(pooled(connection))
    if state is None or not state.dirty:
        return original(connection, name)
    return commit_announced(state, functools.partial(original, connection, name))


def _do_twophase(
    original: Callable[..., Any],
    connection: Connection,
    xid: Any,
    *args: Any,
    **kw: Any,
) -> Any:
    state = existing(pooled(connection))
    send = functools.partial(original, connection, xid, *args, **kw)
    if state is None:
        return send()
    if kw.get("recover"):
        state.note_unknown()
    result = commit_announced(state, send) if state.dirty else send()
    if original.__name__ == "do_commit_twophase":
        _committed(state)
    return result


def _undo_twophase(
    original: Callable[..., Any], connection: Connection, *args: Any, **kw: Any
) -> Any:
    result = original(connection, *args, **kw)
    state = existing(pooled(connection))
    if state is not None:
        _end(state)
    return result


_LISTENERS: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (Engine, "engine_connect", _on_connection),
    (Engine, "before_cursor_execute", _before_cursor),
    (Engine, "after_cursor_execute", _after_cursor),
    (Engine, "handle_error", _on_error),
    (Pool, "checkout", _on_checkout),
    (Pool, "checkin", _on_checkin),
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

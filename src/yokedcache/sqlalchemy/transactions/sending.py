"""
Both sides of every statement: what it will read and write, and that it was sent.

Each dialect object's `do_execute` and its kin are wrapped, below every listener of
the app: what is noted is what the driver gets. (If there is a listener to any event of
engines, every connection of the process joins and asks all lists of listeners, at a
dozen places of each statement.) A listener on `do_execute` may send a statement itself,
and then the wrapped method isn't called; where an app has one, the events of cursors
are listened to after all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine

from yokedcache.runtime.log import once
from yokedcache.sqlalchemy.answers.facade import SENT
from yokedcache.sqlalchemy.functions import reads, sessions
from yokedcache.sqlalchemy.statements.called import with_functions
from yokedcache.sqlalchemy.statements.effects import commits_itself, note_settings
from yokedcache.sqlalchemy.statements.rewriting import changed
from yokedcache.sqlalchemy.statements.sent import analysis_of, placed
from yokedcache.sqlalchemy.transactions import checkins, unheard
from yokedcache.sqlalchemy.transactions.completing import complete
from yokedcache.sqlalchemy.transactions.early import taken_over
from yokedcache.sqlalchemy.transactions.fences import (
    fence_statement,
    keep_statement,
    lift_statement,
)
from yokedcache.sqlalchemy.transactions.holders import autocommit, existing, pooled
from yokedcache.sqlalchemy.transactions.snapshots import before_statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState

_SAVEPOINTS: Final = frozenset({"savepoint", "release"})

_NOTED: Final = "_yokedcache_noted"
"""Where an execution's context keeps the analysis that was noted for it."""


def before(
    connection: Connection, statement: str, context: Any
) -> ConnectionState | None:
    """
    A statement is about to be sent: note what it will read and write.
    """
    state = existing(pooled(connection))
    if state is None:
        state = taken_over(pooled(connection), connection.dialect)
        if state is None:
            return None
    if connection._has_events or connection.engine._has_events:
        unheard.executing(connection, state, context)
    analysis = analysis_of(context, statement, connection.dialect)
    if analysis.schemas:
        analysis = placed(analysis, state.database)
    before_statement(connection, state, analysis)
    analysis = with_functions(connection, state, analysis, statement)
    if analysis.uncacheable is None or _may_read(analysis):
        reads.note_safely(connection, state, analysis, context)
    # the rows of a flush may be sent one by one, as one execution
    again = context.__dict__.get(_NOTED) is analysis
    if _matters(analysis) and not (again and state.writes):
        _note_effects(connection, state, analysis, statement)
        if state.fences is None:  # else each is a commit
            context.__dict__[_NOTED] = analysis
    if analysis.locks or analysis.transaction == "begin":
        state.lock()
    if not again and connection.dialect.name == "sqlite":
        state.outlook.note_execution(context)
    return state


def _may_read(analysis: Analysis) -> bool:
    """
    Tell whether a statement reads tables, or may do so unseen.
    """
    return bool(
        analysis.reads
        or analysis.functions
        or analysis.called
        or analysis.unknown_write
    )


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
    if (
        state.dirty
        and state.prepared is None  # else this is the second phase, and fenced
        and (_ends(connection, analysis) or commits_itself(connection, state, analysis))
    ):
        fence_statement(state, pooled(connection))


def _ends(connection: Connection, analysis: Analysis) -> bool:
    """
    Tell whether a statement may commit what was written before it.

    Savepoints do so on SQLite alone, where no transaction was begun.
    """
    if analysis.transaction in _SAVEPOINTS:
        return connection.dialect.name == "sqlite"
    return analysis.transaction is not None


def after(  # noqa: PLR0917 - what is known on the other side
    state: ConnectionState,
    connection: Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
) -> None:
    """
    A statement was sent; one that commits by itself has done so.
    """
    context.__dict__[SENT] = (statement, parameters)
    state.outlook.sent()
    if changed(context, statement, connection.dialect.name):
        rewritten = analysis_of(None, statement, connection.dialect)
        rewritten = placed(rewritten, state.database)
        if _matters(rewritten):
            _note_effects(connection, state, rewritten, statement)
    if state.fences is not None:
        complete(connection, cursor, context)
        lift_statement(state)
        if autocommit(connection):
            state.settle()


def on_error(context: Any) -> None:
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


def around_execute(
    original: Callable[..., Any],
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any = None,
) -> Any:
    """
    Send a statement with its parameters, noted on both sides.
    """
    if _events.heard or context is None:  # nothing of SQLAlchemy's sends without one
        return original(cursor, statement, parameters, context)
    connection = context.root_connection
    state = before(connection, statement, context)
    result = original(cursor, statement, parameters, context)
    if state is not None:
        after(state, connection, cursor, statement, parameters, context)
    return result


def around_execute_bare(
    original: Callable[..., Any], cursor: Any, statement: str, context: Any = None
) -> Any:
    """
    Do the same for a statement that is sent without any.
    """
    if _events.heard or context is None:
        return original(cursor, statement, context)
    connection = context.root_connection
    state = before(connection, statement, context)
    result = original(cursor, statement, context)
    if state is not None:
        after(state, connection, cursor, statement, context.parameters[0], context)
    return result


AROUND: Final[dict[str, Callable[..., Any]]] = {
    "do_execute": around_execute,
    "do_executemany": around_execute,
    "do_execute_no_params": around_execute_bare,
}
"""What stands around the methods of a dialect that send statements."""


class _Events:
    """
    Whether statements are noted by the events of cursors.
    """

    heard = False


_events = _Events()


def beware(dialect: Any) -> None:
    """
    Listen to the events if somebody else may execute a dialect's statements.
    """
    if any(len(getattr(dialect.dispatch, name)) for name in AROUND):
        listen()


def listen() -> None:
    """
    Note statements by the events of cursors from now on, in the whole process.
    """
    if not _events.heard:
        event.listen(Engine, "before_cursor_execute", _before_cursor)
        event.listen(Engine, "after_cursor_execute", _after_cursor)
        _events.heard = True


def ignore() -> None:
    """
    Note them where they are sent; for tests.
    """
    if _events.heard:
        _events.heard = False
        event.remove(Engine, "before_cursor_execute", _before_cursor)
        event.remove(Engine, "after_cursor_execute", _after_cursor)


def _before_cursor(  # noqa: PLR0917 - as SQLAlchemy calls it
    connection: Connection,
    cursor: Any,  # noqa: ARG001
    statement: str,
    parameters: Any,  # noqa: ARG001
    context: Any,
    executemany: bool,  # noqa: ARG001, FBT001
) -> None:
    before(connection, statement, context)


def _after_cursor(  # noqa: PLR0917 - as SQLAlchemy calls it
    connection: Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,  # noqa: ARG001, FBT001
) -> None:
    state = existing(pooled(connection))
    if state is not None:
        after(state, connection, cursor, statement, parameters, context)

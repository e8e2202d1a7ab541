"""
What a statement reads, handed to the open capture and to the session's vector.

Versions are taken here, just before the statement is sent (rule 1). What makes
an answer unfit to be stored spoils the capture, with its reason.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from yokedcache.core.snapshots import Sight
from yokedcache.core.tags import LISTENERS
from yokedcache.machine import machines
from yokedcache.policy import UNSET
from yokedcache.runtime.context import current_capture
from yokedcache.runtime.log import own_fault
from yokedcache.runtime.surroundings import noting
from yokedcache.sqlalchemy.contexts.varying import unvaried
from yokedcache.sqlalchemy.databases.several import capture_refusal
from yokedcache.sqlalchemy.functions import sessions
from yokedcache.sqlalchemy.functions.told import schemas_of, unkeyed
from yokedcache.sqlalchemy.statements.present import names_present
from yokedcache.sqlalchemy.transactions.holders import pooled
from yokedcache.sqlalchemy.transactions.snapshots import outlook_of, view

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session

    from yokedcache.runtime.context import OpenCapture
    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState


def note_safely(
    connection: Connection, state: ConnectionState, analysis: Analysis, context: Any
) -> None:
    """
    Note a read; a fault of ours spoils what would have been stored, no more.
    """
    try:
        note(connection, state, analysis, context)
    except Exception as error:  # noqa: BLE001 - a cache never fails the query
        capture = current_capture()
        if capture is not None:
            capture.spoil("internal_error")
        sessions.note_unseen(list(state.sessions))
        own_fault(error, "noting a read")


def note(
    connection: Connection, state: ConnectionState, analysis: Analysis, context: Any
) -> None:
    """
    Note a read that is about to be sent over a connection, with its execution context.
    """
    if not noting.on:  # nor is a capture open, then
        if state.sessions:
            state.database.learn(pooled(connection))
        return
    capture = current_capture()
    users = state.sessions.alive() if state.sessions else []
    if (capture is None and not users) or not machines():
        return
    database = state.database
    database.learn(pooled(connection))
    catalogue = database.catalogue
    tags = database.tags_read(analysis.reads, catalogue)
    _note_schemas(capture, users, context)
    if capture is not None:
        analysis = _with_values(analysis, connection, context)
        _note_capture(capture, connection, state, analysis, tags)
        if database.catalogue is not catalogue:
            capture.spoil("changed_meanwhile")  # what lies behind the names, maybe
        for session in users:
            if _uses(session, connection):
                sessions.note_holder(session)
    if users:
        _note_users(users, connection, state, analysis, tags)
        if database.catalogue is not catalogue:
            sessions.note_unseen(users)


def _with_values(analysis: Analysis, connection: Connection, context: Any) -> Analysis:
    """
    Judge what is bound, too: it may be a word for the present moment.
    """
    if analysis.uncacheable is None and any(
        names_present(analysis, parameters, connection.dialect.name)
        for parameters in getattr(context, "parameters", ())
    ):
        return replace(analysis, uncacheable="volatile_function:now")
    return analysis


def _note_schemas(
    capture: OpenCapture | None, users: list[Session], context: Any
) -> None:
    """
    Note through which map of schemas a statement reads.
    """
    schemas = schemas_of(context.execution_options)
    sessions.note_schemas(users, schemas)
    reason = None if capture is None else unkeyed(capture, schemas)
    if capture is not None and reason is not None:
        capture.spoil(reason)


def _note_users(
    users: list[Session],
    connection: Connection,
    state: ConnectionState,
    analysis: Analysis,
    tags: tuple[str, ...],
) -> None:
    """
    Note with which counters the sessions that use a connection see what they read.
    """
    seen, note = outlook_of(connection, state)
    catalogue = state.database.catalogue
    if (
        seen not in _DATED
        or catalogue is None
        or catalogue.readable(analysis.reads, varied=True) is not None
    ):
        sessions.note_unseen(users)
        return
    for machine in machines():
        store = machine.store
        number = None if note is None else note.get(store, -1)
        sessions.note_read(users, store, tags, number)


_DATED = (Sight.STATEMENT, Sight.SNAPSHOT)
"""What shows what was committed at some moment."""


def _note_capture(
    capture: OpenCapture,
    connection: Connection,
    state: ConnectionState,
    analysis: Analysis,
    tags: tuple[str, ...],
) -> None:
    seen = view(connection, state, capture.store)
    said = capture.varied or bool(capture.varies)
    reason = (
        capture_refusal(state.database, capture.store)
        or unstorable(connection, state, analysis, varied=said)
        or _unvaried(capture, connection, state, list(state.sessions))
    )
    noted = tags if capture.varied else (*tags, LISTENERS)
    if reason is not None and not reason.startswith(_VOLATILE):
        capture.spoil(reason)
        return
    if reason is not None:
        capture.volatile = reason
    stamp = capture.store.stamp((*noted, *capture.store.everything))
    if capture.store.shares:
        capture.note_late(stamp)
    capture.note_read(stamp, seen)


def _uses(session: Session, connection: Connection) -> bool:
    """
    Tell whether a session uses a connection now: others may have shared the driver's.
    """
    transaction: Any = session._transaction
    while transaction is not None:
        if connection in transaction._connections:
            return True
        transaction = transaction._parent
    return False


_VOLATILE = "volatile_function"


def unstorable(
    connection: Connection,
    state: ConnectionState,
    analysis: Analysis,
    *,
    varied: bool = False,
) -> str | None:
    """
    Name why what this connection answers now may not be stored.
    """
    database = state.database
    reason = analysis.uncacheable
    if reason is not None and not reason.startswith(_VOLATILE):
        return reason
    if analysis.functions:
        return f"unknown_function:{min(analysis.functions)}"
    if not database.known or database.catalogue is None:
        return "catalogue_unknown"
    if state.contextual is not None:
        return state.contextual
    if state.touches(analysis.reads):
        return "dirty"
    return (
        database.unlearnt(connection.engine)
        or database.catalogue.unreadable(analysis, varied=varied)
        or reason  # a time that the app gives may excuse it, and nothing else
    )


def _unvaried(
    capture: OpenCapture,
    connection: Connection,
    state: ConnectionState,
    users: list[Any],
) -> str | None:
    said = capture.varied or bool(capture.varies)
    set_reason = state.settings.reason(True if said else UNSET)
    if set_reason is not None or capture.varied:
        return set_reason
    for session in users or (None,):
        reason = unvaried(capture, connection.engine, session)
        if reason is not None:
            return reason
    return None

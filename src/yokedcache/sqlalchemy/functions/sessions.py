"""
Session vectors: under which versions a session's loaded instances were read.

A cached function that can reach a session may return what the session's
identity map holds, which no statement of the function read. So a session
remembers the first version of each tag that it read since it last expired,
rolled back or began; what it wrote counts as read before the write, which its
own commit makes invalid unless the session expires with it.

None of this is noted while the process has no cached function (`noting`). When the
first one is made, all sessions that have been in use are doubted. One that begins to
be, in another thread, is listed before it looks whether its reads are to be noted, and
they are from before the list is gone through: so it does, or it is doubted.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from yokedcache.core.tags import holds
from yokedcache.machine import machines
from yokedcache.runtime.context import current_capture
from yokedcache.runtime.surroundings import noting
from yokedcache.sqlalchemy.functions.told import NO_SCHEMAS, unkeyed
from yokedcache.sqlalchemy.functions.vectors import Seen
from yokedcache.sqlalchemy.functions.weak_sessions import WeakSessions
from yokedcache.sqlalchemy.transactions.floating import float_of
from yokedcache.sqlalchemy.transactions.holders import existing, pooled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session

    from yokedcache.core.tags import Vector
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState
    from yokedcache.stores.memory import MemoryStore

_SEEN = "_yokedcache_seen"
"""Where a session keeps its vectors, one for each store."""


def on_begin(session: Session, connection: Connection) -> ConnectionState | None:
    """
    A session begins to use a connection: what is read over it is the session's.

    Gives what is known of the connection.
    """
    remember(session)
    if noting.on:
        _seen_by(session)
    state = existing(pooled(connection))
    if state is not None:
        state.sessions.add(session)
        float_before = float_of(session)
        if float_before is not None:
            state.outlook.floats.append(float_before)
    return state


def on_commit(session: Session) -> None:
    """
    A session committed; its instances expire unless it was told otherwise.
    """
    if session.expire_on_commit and not session.in_nested_transaction():
        session.__dict__[_SEEN] = Seen()


def on_rollback(session: Session, previous: Any) -> None:
    """
    A session rolled back, which always expires its instances.
    """
    if not previous.nested:
        session.__dict__[_SEEN] = Seen()


def on_attached(session: Session, instance: object) -> None:  # noqa: ARG001
    """
    A session was given an instance that was read elsewhere, nobody knows when.
    """
    _seen_by(session).unseen = True


def attach_known(session: Session, instance: object) -> None:
    """
    Give a session an instance whose versions it has been told (`note_vector`).
    """
    seen = _seen_by(session)
    unseen = seen.unseen
    session.add(instance)
    seen.unseen = unseen


def note_vector(
    session: Session,
    store: MemoryStore,
    vector: Vector,
    schemas: bytes | None = None,
) -> None:
    """
    Add versions under which something that the session now holds was read.

    Args:
        schemas: The map of schemas through which it was, if that is known.
    """
    seen: Seen | None = session.__dict__.get(_SEEN)
    if seen is None:
        seen = session.__dict__[_SEEN] = Seen()
        remember(session)
    if noting.on:
        if schemas is not None and schemas != seen.schemas:
            seen.read_through(schemas, holds=bool(session.identity_map))
        seen.add(store, vector)


def note_read(
    sessions: Iterable[Session],
    store: MemoryStore,
    names: tuple[str, ...],
    number: int | None = None,
) -> None:
    """
    Note what some sessions are about to read.

    Args:
        number: The store's counter as it was when what they see was made, if that
            wasn't now.
    """
    read = (*names, *store.everything)
    store.keep_often(read)
    if number is None:
        number = store.tags.counter
    for session in sessions:
        _seen_by(session).add_read(store, read, number)


def note_schemas(sessions: Iterable[Session], schemas: bytes) -> None:
    """
    Note through which map of schemas some sessions are about to read.
    """
    for session in sessions:
        seen = _seen_by(session)
        if seen.schemas != schemas:
            seen.read_through(schemas, holds=bool(session.identity_map))


def note_unseen(sessions: Iterable[Session]) -> None:
    """
    Note that sessions read what no versions can be given for.
    """
    for session in sessions:
        _seen_by(session).unseen = True


def doubt_all() -> None:
    """
    Note of all sessions that were in use that nobody knows what they have read.
    """
    note_unseen(_alive)


def _seen_by(session: Session) -> Seen:
    seen: Seen | None = session.__dict__.get(_SEEN)
    if seen is None:
        seen = session.__dict__[_SEEN] = Seen()
    return seen


def wrote(state: ConnectionState) -> None:
    """
    A connection is about to be written over: its sessions hold what they wrote.
    """
    sessions = state.sessions.alive() if noting.on else ()
    if sessions:
        database = state.database
        tags = database.tags_read(frozenset(), database.catalogue)
        for machine in machines():
            note_read(sessions, machine.store, tags + state.tags())


def vector_of(session: Session, store: MemoryStore) -> Vector | None:
    """
    Give a session's vector; `None` if what it holds was read unseen, or has changed.
    """
    if not session.identity_map:
        return ()
    seen: Seen | None = session.__dict__.get(_SEEN)
    return None if seen is None else seen.vector(store)


def schemas_seen(session: Session) -> bytes | None:
    """
    Give the map of schemas through which a session's instances were read.

    `None` if that isn't known, as of those that it was given.
    """
    seen: Seen | None = session.__dict__.get(_SEEN)
    return None if seen is None else seen.schemas


def note_holder(session: Session) -> None:
    """
    Tell the open capture under which versions a session holds what it may hand out.

    However a function got at the session: a statement over it gives the instances
    that it holds already, and so does `get`, without any statement.
    """
    capture = current_capture()
    if capture is None:
        return
    capture.reach(session)
    if not session.identity_map:
        return
    reason = unkeyed(capture, schemas_seen(session) or NO_SCHEMAS)
    if reason is not None:
        capture.spoil(reason)
    if session.new or session.dirty or session.deleted:
        capture.spoil("pending_changes")
    vector = vector_of(session, capture.store)
    if vector is None or not holds(vector):
        capture.spoil("warm_session")
    else:
        capture.note(vector)


def remember(session: Session) -> None:
    """
    Note that the current task or thread uses a session.
    """
    _scope().add(session)
    _alive.add(session)


def on_pending(session: Session, instance: object = None) -> None:  # noqa: ARG001
    """
    A session is in use, or was given what it hasn't flushed.
    """
    _alive.add(session)


def pending() -> bool:
    """
    Tell whether any session of the process has changes that it hasn't flushed.
    """
    sessions: Iterable[Any] = _alive
    return any(
        session._new or session._deleted or session.identity_map._modified
        for session in sessions
    )


def in_use() -> list[Session]:
    """
    List the sessions that the current task or thread has used.
    """
    return list(_scope())


_alive = WeakSessions()
_task_scope: ContextVar[WeakSessions | None] = ContextVar(
    "yokedcache_sessions", default=None
)
_thread_scope = threading.local()


def _scope() -> WeakSessions:
    if asyncio._get_running_loop() is not None:
        scope = _task_scope.get()
        if scope is None:
            scope = WeakSessions()
            _task_scope.set(scope)
        return scope
    try:
        return _thread_scope.sessions  # type: ignore[no-any-return]
    except AttributeError:
        fresh = _thread_scope.sessions = WeakSessions()
        return fresh

"""
Session vectors: under which versions a session's loaded instances were read.

A cached function that can reach a session may return what the session's
identity map holds, which no statement of the function read. So a session
remembers the first version of each tag that it read since it last expired,
rolled back or began; what it wrote counts as read before the write, which its
own commit makes invalid unless the session expires with it.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from yokedcache.core.tags import holds
from yokedcache.machine import machines
from yokedcache.runtime.context import current_capture
from yokedcache.sqlalchemy.connections import existing, pooled
from yokedcache.sqlalchemy.floating import float_of
from yokedcache.sqlalchemy.weak_sessions import WeakSessions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session

    from yokedcache.core.tags import Stamp, Vector
    from yokedcache.sqlalchemy.connections import ConnectionState
    from yokedcache.stores.memory import MemoryStore

_SEEN = "_yokedcache_seen"
"""Where a session keeps its vectors, one for each store."""


def on_begin(session: Session, transaction: Any, connection: Connection) -> None:  # noqa: ARG001
    """
    A session begins to use a connection: what is read over it is the session's.
    """
    session.__dict__.setdefault(_SEEN, {})
    remember(session)
    state = existing(pooled(connection))
    if state is not None:
        state.sessions.add(session)
        float_before = float_of(session)
        if float_before is not None:
            state.outlook.floats.append(float_before)


def on_commit(session: Session) -> None:
    """
    A session committed; its instances expire unless it was told otherwise.
    """
    if session.expire_on_commit and not session.in_nested_transaction():
        session.__dict__[_SEEN] = {}


def on_rollback(session: Session, previous: Any) -> None:
    """
    A session rolled back, which always expires its instances.
    """
    if not previous.nested:
        session.__dict__[_SEEN] = {}


def on_attached(session: Session, instance: object) -> None:  # noqa: ARG001
    """
    A session was given an instance that was read elsewhere, nobody knows when.
    """
    note_unseen((session,))


def attach_known(session: Session, instance: object) -> None:
    """
    Give a session an instance whose versions it has been told (`note_vector`).
    """
    seen = session.__dict__.setdefault(_SEEN, {})
    unseen = None in seen
    session.add(instance)
    if not unseen:
        seen.pop(None, None)


def note_vector(session: Session, store: MemoryStore, vector: Vector) -> None:
    """
    Add versions under which something that the session now holds was read.
    """
    seen = session.__dict__.get(_SEEN)
    if seen is None:
        seen = session.__dict__[_SEEN] = {}
        remember(session)
    versions = seen.get(store)
    if versions is None:
        seen[store] = dict(vector)
        return
    for tag, version in vector:
        versions.setdefault(tag, version)


def note_tags(
    sessions: Iterable[Session], tags: tuple[str, ...]
) -> list[tuple[MemoryStore, Stamp]]:
    """
    Add the present versions of tags to some sessions, for every cache; give them.
    """
    stamps = []
    for machine in machines():
        stamp = machine.store.stamp_often(tags)
        stamps.append((machine.store, stamp))
        for session in sessions:
            note_vector(session, machine.store, stamp.vector)
    return stamps


def note_unseen(sessions: Iterable[Session]) -> None:
    """
    Note that sessions read what no versions can be given for.
    """
    for session in sessions:
        session.__dict__.setdefault(_SEEN, {})[None] = {}


def wrote(state: ConnectionState) -> None:
    """
    A connection is about to be written over: its sessions hold what they wrote.
    """
    sessions = list(state.sessions)
    if sessions:
        database = state.database
        tags = database.tags_read(frozenset(), database.catalogue)
        note_tags(sessions, tags + state.tags())


def vector_of(session: Session, store: MemoryStore) -> Vector | None:
    """
    Give a session's vector; `None` if what it holds was read unseen.
    """
    if not session.identity_map:
        return ()
    noted = session.__dict__.get(_SEEN)
    if noted is None or None in noted:
        return None
    return tuple(noted.get(store, {}).items())


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

"""
How a session's transaction begins when no statement is sent.

As asking for a connection begins it, with two things done otherwise, both of
which SQLAlchemy does on demand or might: a new session's listeners are looked up
together and not one by one (each look-up of an event that has none costs an
exception inside), and what a transaction notes of changes gets its four weak
dictionaries when something is noted.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.orm.session import SessionTransactionOrigin, SessionTransactionState

_EVENTS: Final = (
    "after_begin",
    "after_transaction_create",
    "after_transaction_end",
    "deleted_to_detached",
    "do_orm_execute",
    "loaded_as_persistent",
    "pending_to_transient",
    "persistent_to_detached",
    "persistent_to_transient",
)
"""The events of which every session asks between its first statement and its end."""

_autobegin: Any = Session._autobegin_t
_take_snapshot: Any = SessionTransaction._take_snapshot


class LazyTransaction(SessionTransaction):
    """
    A session's own transaction, begun by itself.
    """

    def _take_snapshot(self, *_: Any, **__: Any) -> None:
        """
        Leave what notes changes to whoever asks for it first.
        """

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if "_yokedcache_noting" not in own:
            own["_yokedcache_noting"] = True
            _take_snapshot(self)
            if name in own:
                return own[name]
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg)


def listeners_of(session: Any) -> Any:
    """
    Give where a session's listeners are, for a new session with all at hand.
    """
    if "dispatch" in session.__dict__:
        return session.dispatch
    dispatch = session.dispatch
    empty = getattr(dispatch, "_empty_listeners", None)
    if empty:
        for name in _EVENTS:
            if name in empty:
                setattr(dispatch, name, empty[name])
    return dispatch


def ready(session: Any) -> bool:
    """
    Begin the session's transaction as asking for a connection would.

    False where the session itself must speak: it is closed, failed or in the
    middle of a change, or its connections need what only it can do.
    """
    if session.twophase:
        return False
    manager = session._trans_context_manager
    if manager is not None and not manager._transaction_is_active():
        return False
    transaction = session._transaction
    if transaction is None:
        if session.autobegin and session.__class__._autobegin_t is _autobegin:
            transaction = LazyTransaction(session, SessionTransactionOrigin.AUTOBEGIN)
        else:
            transaction = session._autobegin_t()
    return transaction._state is SessionTransactionState.ACTIVE

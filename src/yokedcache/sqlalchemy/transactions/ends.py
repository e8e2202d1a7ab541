"""
Both sides of how transactions end: of a dialect's `do_commit` and its kin.

Nothing public runs after a commit that no session makes, so these methods are
wrapped on each engine's dialect object (`wrapping`).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from yokedcache.errors import StoreError
from yokedcache.sqlalchemy.transactions.early import taken_over
from yokedcache.sqlalchemy.transactions.fences import (
    bump_everywhere,
    commit_announced,
    commit_carrying,
    commit_prepared,
    lift_prepared,
    lift_statement,
    prepare_announced,
    settle_orphans,
)
from yokedcache.sqlalchemy.transactions.holders import existing, pooled
from yokedcache.sqlalchemy.transactions.unheard import blame_listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.transactions.connections import ConnectionState

_REFUSALS: Final = frozenset({"23", "40"})
"""Classes of SQLSTATE by which PostgreSQL refuses: a constraint, a rollback."""
_UNKNOWN: Final = "40003"
"""The one of them that says that the outcome isn't known."""


def end(state: ConnectionState) -> None:
    """
    A transaction ended without a commit of ours: bump what it had written.
    """
    state.outlook.end()
    lift_statement(state)
    lift_prepared(state)
    blame_listener(state)
    if state.dirty:
        tags, blame = state.tags(), state.blame
        if state.unknown:
            state.database.forget_catalogue()
        state.settle()
        bump_everywhere(tags, blame)
    else:
        state.forget_tags()


def _do_commit(original: Any, holder: Any) -> Any:
    state = existing(holder) or taken_over(holder, original.__self__)
    if state is None:
        return original(holder)
    if not state.dirty:
        result = original(holder)
        state.begun = False
        state.forget_tags()
        state.outlook.end()
        state.settings.commit()
        return result
    lift_statement(state)
    blame_listener(state)
    try:
        send = functools.partial(original, holder)
        result = _announced(state, holder, send, commit_carrying)
    except StoreError:
        # it was not sent, which SQLAlchemy can't know: it takes a commit that failed
        # for the end of the transaction, and would give it to whoever comes next
        original.__self__.do_rollback(holder)
        raise
    _committed(state)
    return result


def _announced(
    state: ConnectionState,
    holder: Any,
    send: Callable[[], Any],
    announced: Callable[..., Any],
) -> Any:
    """
    Send a commit with its announcements; one that the server refused has an outcome.

    What was written stays in the write set until the transaction is rolled back.
    """
    try:
        return announced(state, holder, send)
    except Exception as error:
        if _refused(state.database.dialect, error):
            settle_orphans(state)
        raise


def _refused(dialect: Any, error: Exception) -> bool:
    """
    Tell whether a server answered a commit, and the answer was no.
    """
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(code, str):
        return code[:2] in _REFUSALS and code != _UNKNOWN
    if getattr(dialect, "name", None) != "sqlite":
        return False
    refusal: type[Exception] = dialect.loaded_dbapi.IntegrityError
    return isinstance(error, refusal)


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
        end(state)
        state.settings.rollback()
        settle_orphans(state)
    return result


def _do_release(original: Callable[..., Any], connection: Connection, name: str) -> Any:
    """
    On SQLite, releasing the outermost savepoint is a commit if no BEGIN was sent.
    """
    holder = pooled(connection)
    state = existing(holder)
    sqlite = connection.dialect.name == "sqlite"
    if state is None or not state.dirty or not sqlite:
        return original(connection, name)
    send = functools.partial(original, connection, name)
    return _announced(state, holder, send, commit_announced)


def _do_twophase(
    original: Callable[..., Any],
    connection: Connection,
    xid: Any,
    *args: Any,
    **kw: Any,
) -> Any:
    holder = pooled(connection)
    state = existing(holder) or taken_over(holder, connection.dialect)
    send = functools.partial(original, connection, xid, *args, **kw)
    if state is None:
        return send()
    blame_listener(state)
    if original.__name__ == "do_prepare_twophase":
        if not state.dirty:
            return send()
        return _announced(state, holder, send, prepare_announced)
    if kw.get("recover"):
        state.note_unknown()
    if state.prepared is not None:
        result = _announced(state, holder, send, commit_prepared)
    elif state.dirty:
        result = _announced(state, holder, send, commit_announced)
    else:
        result = send()
    lift_prepared(state)  # the second phase may have begun with the first
    _committed(state)
    return result


def _undo_twophase(
    original: Callable[..., Any], connection: Connection, *args: Any, **kw: Any
) -> Any:
    result = original(connection, *args, **kw)
    state = existing(pooled(connection))
    if state is not None:
        end(state)
    return result


AROUND: Final[dict[str, Callable[..., Any]]] = {
    "do_commit": _do_commit,
    "do_rollback": _do_rollback,
    "do_commit_twophase": _do_twophase,
    "do_prepare_twophase": _do_twophase,
    "do_rollback_twophase": _undo_twophase,
    "do_release_savepoint": _do_release,
}
"""What stands around the methods of a dialect that end transactions."""

"""
Whether a cached function's key has in it what its answers vary on.

What it reads may depend on context that no argument shows: on what listeners set
on connections, or add to statements. A function above them is stored only if it,
or the sessions that it was handed, say what answers vary on. That is asked of
what is read from the database and of what was served from the cache alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from yokedcache.policy import UNSET
from yokedcache.sqlalchemy.attached import NOTHING_VARIES, attachment_of
from yokedcache.sqlalchemy.contexts.listeners import rewriter
from yokedcache.sqlalchemy.databases.database import database_of, watch_of
from yokedcache.sqlalchemy.functions import sessions
from yokedcache.sqlalchemy.transactions import unheard
from yokedcache.sqlalchemy.transactions.holders import existing, pooled

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from sqlalchemy.orm import Session

    from yokedcache.runtime.context import OpenCapture
    from yokedcache.sqlalchemy.answers.statement_calls import StatementCall
    from yokedcache.sqlalchemy.attached import Attachment


def on_begin(session: Session, transaction: Any, connection: Connection) -> None:  # noqa: ARG001
    """
    A session begins to use a connection, for what its answers vary on now.
    """
    state = sessions.on_begin(session, connection)
    attachment = attachment_of(session)
    if attachment is None or state is None or attachment.vary is UNSET:
        return
    if not state.database.vouched:
        unheard.believe(state)
    if not callable(attachment.vary):
        return
    try:
        value: Any = attachment.vary_key(session)
    except Exception:  # noqa: BLE001 - raised where something is looked up
        value = object()
    state.settings.note_vary(value)


def misplaced(
    attachment: Attachment, call: StatementCall, connection: Connection
) -> str | None:
    """
    Name why a connection may answer for others than its session varies on now.

    What listeners set on it was set when its session began to use it, so the `vary`
    value must be the same still. A session that was bound to a connection knows
    nothing of when that was.
    """
    state = existing(pooled(connection))
    vary = attachment.vary
    if state is None or vary is None:
        return None
    reason = state.settings.reason(vary)
    if reason is not None or not callable(vary):
        return reason
    under = state.settings.under
    early = under is UNSET or isinstance(call.bind, Connection)
    if early and not watch_of(call.engine).clinging:
        return None
    same = not early and under == attachment.vary_key(call.session)
    return None if same else "vary_changed"


def unvaried(
    capture: OpenCapture, engine: Engine, session: Session | None
) -> str | None:
    """
    Name why what is read now may not go into the result of a capture.
    """
    if capture.varied:
        return None
    if session is None:
        return database_of(engine.dialect).unfit(engine, None)
    if rewriter(session) is not None:
        return "listeners"
    attachment = attachment_of(session)
    vary = None if attachment is None else attachment.vary_key(session)
    if vary is None:
        return database_of(engine.dialect).unfit(engine, session)
    if vary == NOTHING_VARIES or vary in capture.varies:
        return None
    return "unvaried"

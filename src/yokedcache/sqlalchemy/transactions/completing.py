"""
Statements of SQLite that end, and commit by themselves, with their last row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def complete(connection: Connection, cursor: Any, context: Any) -> None:
    """
    Fetch what a writing statement returns, so that it has ended when this returns.

    Python's driver runs a statement with RETURNING to its first row only. The rest
    waits for whoever fetches, and so does the commit in autocommit mode.
    """
    if connection.dialect.name != "sqlite" or cursor.description is None:
        return
    rows = cursor.fetchall()
    if context is None:
        return
    context.fetchall_for_returning = lambda _: rows
    context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
        cursor, alternate_description=cursor.description, initial_buffer=rows
    )

"""
What an app tells of its writes where neither statements nor the catalogue do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from yokedcache.errors import DeclarationError, UsageError
from yokedcache.machine import machines
from yokedcache.sqlalchemy.asynchronous import AsyncSession
from yokedcache.sqlalchemy.statements.analysis import VERBS, Analysis, fold
from yokedcache.sqlalchemy.transactions.fences import bump_everywhere
from yokedcache.sqlalchemy.transactions.holders import existing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def touched(table: str, others: Iterable[str]) -> tuple[str, frozenset[str]]:
    """
    Check and fold what `cache.touches` was given.
    """
    return _name(table), frozenset(map(_name, others))


def declared() -> Mapping[str, frozenset[str]]:
    """
    Give what the caches of this process were told of their tables, taken together.
    """
    told: dict[str, frozenset[str]] = {}
    for machine in machines():
        for table, others in machine.touched.items():
            told[table] = told.get(table, frozenset()) | others
    return told


def wrote(connection: Any, tables: str | Iterable[str]) -> None:
    """
    Note that tables, and nothing else, were written over a connection.
    """
    names = frozenset(map(_name, (tables,) if isinstance(tables, str) else tables))
    pooled = _pooled(connection)
    state = existing(pooled)
    if state is None:
        msg = (
            f"can't tell whose writes these are: {connection!r} is not an open "
            "Connection, AsyncConnection, Session or connection of a pool "
            "(`engine.raw_connection()`)"
        )
        raise UsageError(msg, connection=repr(connection))
    state.raw = state.handed = False
    state.unheard = None
    state.database.learn(pooled)
    state.note(Analysis(writes=frozenset((v, name) for v in VERBS for name in names)))
    # A connection of the driver's may have committed already.
    state.blame.note("cache.wrote()", names)
    tags = state.database.tags_written(state.writes, unknown=False)
    bump_everywhere(tags, state.blame)


def _pooled(connection: Any) -> Any:
    """
    Give the pool's connection inside whatever an app has in its hands.
    """
    if isinstance(connection, AsyncSession):
        connection = connection.sync_session
    if isinstance(connection, Session) and connection.in_transaction():
        connection = connection.connection()
    connection = getattr(connection, "sync_connection", connection)
    if isinstance(connection, Connection) and not connection.closed:
        return connection.connection
    return connection


def _name(table: object) -> str:
    if not isinstance(table, str) or not table:
        msg = f"a table is told by its name, a non-empty string; got {table!r}"
        raise DeclarationError(msg, table=repr(table))
    return fold(table.rpartition(".")[2])

"""
What a statement does beside its tables: functions that write, commits by itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from yokedcache.sqlalchemy.connections import autocommit
from yokedcache.sqlalchemy.telling import declared

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.analysis import Analysis
    from yokedcache.sqlalchemy.connections import ConnectionState

BEGUN = {"begin": True, "commit": False, "rollback": False}
"""Whether a transaction is open after a statement of this kind."""


def commits_itself(
    connection: Connection, state: ConnectionState, analysis: Analysis
) -> bool:
    """
    Tell whether a statement is its own commit.
    """
    if state.database.by_schema:  # MySQL and MariaDB
        catalogue = state.database.catalogue
        if analysis.ddl or catalogue is None:
            return True
        if analysis.unknown_write and catalogue.immediate:
            return True
        if catalogue.written_at_once(analysis.writes, declared()):
            return True
    return autocommit(connection)


def with_functions(
    connection: Connection, state: ConnectionState, analysis: Analysis
) -> Analysis:
    """
    Take functions of the app that may write for unknown writes, which may set context.

    PostgreSQL's catalogue says which are declared not to write; of MySQL's stored
    functions nobody can tell. SQLite has none in the database.
    """
    database = state.database
    if database.dialect_name == "sqlite":
        return analysis
    catalogue = database.catalogue
    called = analysis.functions if catalogue is None else catalogue.called_by(analysis)
    if not called:
        return analysis
    database.learn(connection.connection)
    catalogue = database.catalogue
    if catalogue is not None and called.isdisjoint(catalogue.volatile_functions):
        return analysis
    state.contextual = "function"
    return dataclasses.replace(analysis, unknown_write=True)

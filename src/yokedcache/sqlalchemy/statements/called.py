"""
Functions of the database's users that a statement calls.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from yokedcache.sqlalchemy.contexts.settings import ANYTHING
from yokedcache.sqlalchemy.transactions.holders import autocommit

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState


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
    state.outlook.ask_again()
    # what a stored function of MySQL's sets outlives the transaction
    undone = database.dialect_name == "postgresql" and not autocommit(connection)
    state.settings.put(ANYTHING, database.identity, undone=undone)
    return dataclasses.replace(analysis, unknown_write=True)

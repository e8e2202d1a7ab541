"""
What the statement that a cursor is sent reads and writes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from sqlalchemy.sql.compiler import SQLCompiler

from yokedcache.sqlalchemy.clauses import analyse_compiled
from yokedcache.sqlalchemy.text import analyse_text

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Dialect

    from yokedcache.sqlalchemy.analysis import Analysis
    from yokedcache.sqlalchemy.connections import ConnectionState


def analysis_of(context: Any, statement: str, dialect: Dialect) -> Analysis:
    """
    Analyse a statement by its tree where there is one, else by its text.
    """
    compiled = getattr(context, "compiled", None)
    if isinstance(compiled, SQLCompiler):
        return analyse_compiled(compiled, dialect.name)
    return analyse_text(statement, dialect.name)


def with_functions(
    connection: Connection, state: ConnectionState, analysis: Analysis
) -> Analysis:
    """
    Take functions of the app that may write for unknown writes, which may set context.

    Only PostgreSQL has functions in the database that write; its catalogue says
    which are declared not to.
    """
    database = state.database
    if database.dialect_name != "postgresql":
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

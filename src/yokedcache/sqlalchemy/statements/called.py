"""
Functions of the database's users that a statement runs, by calling them or not.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from yokedcache.sqlalchemy.contexts.settings import ANYTHING
from yokedcache.sqlalchemy.transactions.holders import autocommit, pooled

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState


def with_functions(
    connection: Connection, state: ConnectionState, analysis: Analysis, statement: str
) -> Analysis:
    """
    Take functions of the app that may write for unknown writes, which may set context.

    PostgreSQL's catalogue says which are declared not to write, and what runs one
    without a call; of MySQL's stored functions nobody can tell. SQLite has none in the
    database, but triggers of one connection.
    """
    database = state.database
    if database.dialect_name == "sqlite":
        return _with_triggers(connection, analysis) if state.triggers else analysis
    if database.catalogue is None and _may_run(database, analysis):
        database.learn(connection.connection)
    if database.implicit is not None:
        function, writes = database.implicit.run_by(statement)
        if function is not None:
            analysis = _running(analysis, function)
        if writes:
            return _writing(connection, state, analysis)
    catalogue = database.catalogue
    called = analysis.functions if catalogue is None else catalogue.called_by(analysis)
    if not called:
        return analysis
    database.learn(connection.connection)
    catalogue = database.catalogue
    if catalogue is not None and called.isdisjoint(catalogue.volatile_functions):
        return analysis
    return _writing(connection, state, analysis)


def run_by(database: Database, statement: str) -> str | None:
    """
    Name why an answer can't be kept if a statement may run a function without a call.
    """
    if database.implicit is None:
        return None
    function, _ = database.implicit.run_by(statement)
    return None if function is None else _reason(function)


def _reason(function: str) -> str:
    return f"unknown_function:{function}"


def _may_run(database: Database, analysis: Analysis) -> bool:
    """
    Tell whether a statement may run what only the catalogue knows, and may follow a query.
    """
    if database.dialect_name != "postgresql" or database.unlearnable:
        return False
    if analysis.transaction or analysis.isolation or analysis.context:
        return False  # SET TRANSACTION must come first
    return bool(
        analysis.reads or analysis.writes or analysis.uncacheable != "not_a_select"
    )


def _running(analysis: Analysis, function: str) -> Analysis:
    return dataclasses.replace(
        analysis,
        functions=analysis.functions | {function},
        uncacheable=_reason(function),
    )


def _with_triggers(connection: Connection, analysis: Analysis) -> Analysis:
    """
    Take what is written over a connection with temporary triggers for unknown writes.

    Which there are is asked each time: what is rolled back may bring one back.
    """
    if not analysis.writes or analysis.unknown_write:
        return analysis
    cursor = pooled(connection).cursor()
    try:
        cursor.execute("SELECT 1 FROM sqlite_temp_master WHERE type = 'trigger'")
        return dataclasses.replace(analysis, unknown_write=bool(cursor.fetchall()))
    except Exception:  # noqa: BLE001 - the statement itself says what is wrong
        return dataclasses.replace(analysis, unknown_write=True)
    finally:
        cursor.close()


def _writing(
    connection: Connection, state: ConnectionState, analysis: Analysis
) -> Analysis:
    state.outlook.ask_again()
    # what a stored function of MySQL's sets outlives the transaction
    undone = state.database.dialect_name == "postgresql" and not autocommit(connection)
    state.settings.put(ANYTHING, state.database.identity, undone=undone)
    return dataclasses.replace(analysis, unknown_write=True)

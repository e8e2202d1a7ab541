"""
What a statement does beside its tables: its own commit, another schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.sqlalchemy.statements.analysis import ANY_SCHEMA
from yokedcache.sqlalchemy.telling import declared
from yokedcache.sqlalchemy.transactions.holders import autocommit

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState

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


def note_settings(
    connection: Connection, state: ConnectionState, analysis: Analysis, statement: str
) -> None:
    """
    Note what a statement sets on its connection, and whether a transaction is open.
    """
    state.note_settings(connection, analysis, statement)
    if analysis.ddl and "TRIGGER" in statement.upper():
        state.triggers = True
    if analysis.context:
        _displace(state.database, analysis, statement)
    if analysis.transaction in BEGUN:
        state.begun = BEGUN[analysis.transaction]


def _displace(database: Database, analysis: Analysis, statement: str) -> None:
    """
    Learn nothing more of a database whose connections may be in another schema.

    A SQLite connection to which a file was attached reaches that one besides.
    """
    if ANY_SCHEMA not in analysis.schemas:
        return
    database.attaches = database.attaches or database.dialect_name == "sqlite"
    if database.by_schema:
        database.unlearnable = f"its schema was changed by: {statement:.100s}"
        database.forget_catalogue()

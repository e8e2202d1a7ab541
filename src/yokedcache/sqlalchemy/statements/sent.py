"""
What the statement that a cursor is sent reads and writes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.sql.compiler import SQLCompiler

from yokedcache.runtime.log import own_fault
from yokedcache.sqlalchemy.statements.analysis import UNKNOWN
from yokedcache.sqlalchemy.statements.clauses import analyse_compiled
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.sqlalchemy.statements.analysis import Analysis


def analysis_of(context: Any, statement: str, dialect: Dialect) -> Analysis:
    """
    Analyse a statement by its tree where there is one, else by its text.
    """
    compiled = getattr(context, "compiled", None)
    try:
        if isinstance(compiled, SQLCompiler):
            return analyse_compiled(compiled, dialect.name)
        return analyse_text(statement, dialect.name)
    except Exception as error:  # noqa: BLE001 - a cache never fails the query
        own_fault(error, "analysing a statement")
        return UNKNOWN


def placed(analysis: Analysis, database: Database) -> Analysis:
    """
    Judge the schemas that a statement names, where each is a database of its own.

    Tags are those of the connection's own schema, so what is read in another isn't
    stored, and what is written there may be anything on the server.
    """
    if not analysis.schemas or not database.elsewhere(analysis.schemas):
        return analysis
    return replace(
        analysis,
        unknown_write=bool(
            analysis.unknown_write or analysis.writes or analysis.functions
        ),
        uncacheable=analysis.uncacheable or "other_schema",
    )

"""
What the statement that a cursor is sent reads and writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.sql.compiler import SQLCompiler

from yokedcache.sqlalchemy.clauses import analyse_compiled
from yokedcache.sqlalchemy.text import analyse_text

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from yokedcache.sqlalchemy.analysis import Analysis


def analysis_of(context: Any, statement: str, dialect: Dialect) -> Analysis:
    """
    Analyse a statement by its tree where there is one, else by its text.
    """
    compiled = getattr(context, "compiled", None)
    if isinstance(compiled, SQLCompiler):
        return analyse_compiled(compiled, dialect.name)
    return analyse_text(statement, dialect.name)

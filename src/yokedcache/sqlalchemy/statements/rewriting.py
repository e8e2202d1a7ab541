"""
Whether what reached the cursor is what the key says.

Listeners may change a statement on its way. One that adds a comment changes nothing.
One that adds a condition makes the key wrong, so nothing is stored (`rewritten`),
unless the app has said what answers vary on: then what a key is rewritten to is
remembered from one miss to the next, with the tables that it reads, and stored
while it stays the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.statements.present import names_present
from yokedcache.sqlalchemy.statements.sent import analysis_of, placed
from yokedcache.sqlalchemy.statements.text import without_comments

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sqlalchemy.engine import Dialect

_MOST: Final = 2000
_NOTHING: Final[frozenset[str]] = frozenset()


class Rewrites:
    """
    What keys are rewritten to under one `attach` that says what answers vary on.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[str, Any, frozenset[str]] | None] = {}

    def tables(self, key: Hashable) -> frozenset[str]:
        """
        Name what a key's statement reads besides, as far as known.
        """
        known = self._known.get(key)
        return _NOTHING if known is None else known[2]

    def confirm(
        self, key: Hashable, dialect: Dialect, sql: str, parameters: Any
    ) -> str | None:
        """
        Name why rows of a rewritten statement may not be stored.
        """
        bare = without_comments(sql, dialect.name)
        known = self._known.get(key)
        if known is not None and known[:2] == (bare, parameters):
            return None
        if key in self._known:
            self._known[key] = None  # now this, now that: never again
            return "rewritten"
        analysis = placed(analysis_of(None, bare, dialect), database_of(dialect))
        if analysis.uncacheable is not None:
            return analysis.uncacheable
        if names_present(analysis, parameters, dialect.name):
            return "volatile_function:now"
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (bare, parameters, analysis.reads)
        return "rewritten"


def changed(context: Any, sql: str, dialect_name: str) -> bool:
    """
    Tell whether a statement was changed after its execution began, comments apart.
    """
    meant = getattr(context, "statement", None)
    if sql is meant:
        return False
    return meant is None or without_comments(sql, dialect_name) != without_comments(
        meant, dialect_name
    )


def differs(
    wanted: tuple[str, Any], sql: str, parameters: Any, dialect_name: str
) -> bool:
    """
    Tell whether a statement says more than was wanted, comments apart.
    """
    if parameters != wanted[1]:
        return True
    if sql == wanted[0]:
        return False
    return without_comments(sql, dialect_name) != without_comments(
        wanted[0], dialect_name
    )

"""
Who changed a table: noted with each write, told by `cache.explain`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.core.causes import Cause
from yokedcache.runtime.places import here

if TYPE_CHECKING:
    from collections.abc import Iterable


class Blame:
    """
    Which statement of one transaction wrote to each table last.
    """

    __slots__ = ("_by_table", "_last")

    def __init__(self) -> None:
        self._by_table: dict[str, Cause] = {}
        self._last: Cause | None = None

    def note(self, statement: str, tables: Iterable[str]) -> None:
        """
        Remember what is about to write to some tables, and where it comes from.
        """
        if self._last is None or self._last.what is not statement:
            self._last = Cause(statement, here())
        for table in tables:
            self._by_table[table] = self._last

    def of(self, name: str) -> Cause | None:
        """
        Give what changed a tag: the write to its table, else the last one of all.
        """
        table = name.removeprefix("table:").partition("@")[0]
        return self._by_table.get(table, self._last)

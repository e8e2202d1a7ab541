"""
The hot tables of one cache: those on which look-ups gain nothing for now.

Asked before anything is prepared, by the table of a statement's first entity, and
again when all its tables are known. While no table is hot it costs one comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.heat import Heat
from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.names import table_tag
from yokedcache.sqlalchemy.statements.analysis import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy.engine import Engine

    from yokedcache.core.entry import Entry
    from yokedcache.machine import Machine

_MOST: Final = 1000
"""Tables that are watched."""


def hot_of(machine: Machine) -> HotTables:
    """
    Give the hot tables of a cache.
    """
    if machine.hot is None:
        machine.hot = HotTables(machine.clock)
    hot: HotTables = machine.hot
    return hot


class HotTables:
    """
    What is known of the tables that answers were read from.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.until = 0.0
        """Until when some table is hot."""
        self._clock = clock
        self._heats: dict[str, Heat] = {}

    def stored(self, entry: Entry) -> None:
        """
        Learn of an answer that was stored.
        """
        now = self._clock()
        for tag, version in entry.vector:
            name = str(tag.name)
            if name.startswith("table:"):
                if len(self._heats) >= _MOST:
                    self._heats.clear()
                heat = self._heats.setdefault(name, Heat())
                if heat.stored(entry, tag, version, now):
                    self.until = max(self.until, heat.until)

    def any_of(self, names: Iterable[str]) -> bool:
        """
        Tell whether one of these tags is a hot table's.
        """
        now = self._clock()
        if now >= self.until:
            return False
        found = (self._heats.get(name) for name in names)
        return any(heat is not None and now < heat.until for heat in found)

    def first_of(self, engine: Engine, statement: Any) -> bool:
        """
        Tell whether the table of a statement's first entity is hot.
        """
        if not self.until or self._clock() >= self.until:
            return False
        subject = getattr(statement, "_propagate_attrs", {}).get("plugin_subject")
        return self.entity(engine, subject)

    def entity(self, engine: Engine, mapper: Any) -> bool:
        """
        Tell whether the table of an entity is hot.
        """
        name = getattr(getattr(mapper, "local_table", None), "name", None)
        if not isinstance(name, str):
            return False
        identity = database_of(engine.dialect).identity or ""
        heat = self._heats.get(table_tag(identity, fold(name)))
        return heat is not None and self._clock() < heat.until

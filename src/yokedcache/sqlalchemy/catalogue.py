"""
What the database adds by itself, learnt from its own catalogue.

A statement names tables; what lies behind a name (a view, a partition, a virtual
table) and what a write sets off (cascades, triggers, rules) only the database
knows. A `Catalogue` says which tables may be read from a cache and how far a write
reaches. `read_catalogue` fills it over a plain DBAPI connection, in one query on
PostgreSQL and a handful on SQLite, once an engine and again after DDL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.functions import family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Effect = tuple[str, str, str]
"""
What a foreign key does: on this event of the parent, this verb on that child.
"""

_NOTHING: frozenset[Any] = frozenset()


class CatalogueUnknown(Exception):  # noqa: N818 - a signal to the caller, not an error
    """
    The catalogue can't be had; the engine is bypassed as 'catalogue_unknown'.
    """


@dataclass(frozen=True, slots=True)
class Catalogue:
    """
    The tables of a database, and what a write to them sets off.
    """

    tables: frozenset[str] = _NOTHING
    """
    Ordinary base tables, by bare case-folded name.
    """
    opaque: frozenset[str] = _NOTHING
    """
    Names whose rows come from elsewhere or depend on who asks.
    """
    triggers: frozenset[str] = _NOTHING
    """
    Tables on which a write may write elsewhere, in ways that aren't followed.
    """
    cascades: Mapping[str, frozenset[Effect]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    volatile_functions: frozenset[str] = _NOTHING
    """
    Functions of users that may write, by lower-case name.
    """
    inert: frozenset[str] = _NOTHING
    """
    Opaque names to which a write changes nothing that can be read from a cache.
    """

    def readable(self, tables: Iterable[str]) -> str | None:
        """
        Return None if all of these may be cached, else the reason why not.
        """
        for name in sorted(tables):
            if name in self.opaque:
                return f"view:{name}"
            if name not in self.tables:
                return f"unknown_table:{name}"
        return None

    def spread(self, writes: Iterable[tuple[str, str]]) -> tuple[frozenset[str], bool]:
        """
        Return all tables that these writes change, and whether there may be more.
        """
        waiting = list(writes)
        seen = set(waiting)
        unknown = False
        while waiting:
            verb, table = waiting.pop()
            unknown |= self._reaches_further(table)
            for event, effect, child in self.cascades.get(table, _NOTHING):
                if event == verb and (effect, child) not in seen:
                    seen.add((effect, child))
                    waiting.append((effect, child))
        return frozenset(table for _, table in seen), unknown

    def _reaches_further(self, table: str) -> bool:
        if table in self.triggers:
            return True
        if table in self.opaque:
            return table not in self.inert
        return table not in self.tables


@dataclass(slots=True)
class Findings:
    """
    A `Catalogue` in the making.
    """

    tables: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    reaching: set[str] = field(default_factory=set)
    """
    Opaque names of the kinds that aren't inert; one in any schema decides.
    """
    triggers: set[str] = field(default_factory=set)
    cascades: dict[str, set[Effect]] = field(default_factory=dict)
    volatile_functions: set[str] = field(default_factory=set)

    def add_opaque(self, name: str, *, inert: bool = False) -> None:
        """
        Note a name that is no ordinary table.
        """
        self.opaque.add(name)
        if not inert:
            self.reaching.add(name)

    def add_foreign_key(
        self, parent: str, child: str, on_update: str, on_delete: str
    ) -> None:
        """
        Note a foreign key by its actions, as SQL spells them.
        """
        for event, action in (("update", on_update), ("delete", on_delete)):
            effect = _EFFECTS.get(action.upper())
            if effect is not None:
                verb = event if effect == "same" else effect
                self.cascades.setdefault(parent, set()).add((event, verb, child))

    def freeze(self) -> Catalogue:
        """
        Return what was found; a name that is opaque anywhere is opaque.
        """
        return Catalogue(
            tables=frozenset(self.tables - self.opaque),
            opaque=frozenset(self.opaque),
            triggers=frozenset(self.triggers),
            cascades=MappingProxyType(
                {parent: frozenset(all_) for parent, all_ in self.cascades.items()}
            ),
            volatile_functions=frozenset(self.volatile_functions),
            inert=frozenset(self.opaque - self.reaching),
        )


_EFFECTS = {"CASCADE": "same", "SET NULL": "update", "SET DEFAULT": "update"}


def read_catalogue(dbapi_connection: Any, dialect_name: str) -> Catalogue:
    """
    Read the catalogue over a DBAPI connection, or raise `CatalogueUnknown`.
    """
    from yokedcache.sqlalchemy import (
        catalogue_postgresql,
        catalogue_sqlite,
    )

    readers = {
        "postgresql": catalogue_postgresql.read,
        "sqlite": catalogue_sqlite.read,
    }
    read = readers.get(family(dialect_name))
    if read is None:
        msg = f"no catalogue of {dialect_name}"
        raise CatalogueUnknown(msg)
    cursor = dbapi_connection.cursor()
    try:
        return read(cursor)
    except CatalogueUnknown:
        raise
    except Exception as error:
        msg = f"the catalogue can't be read: {error}"
        raise CatalogueUnknown(msg) from error
    finally:
        cursor.close()

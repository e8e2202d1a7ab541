"""
What the database adds by itself, learnt from its own catalogue.

A statement names tables; what lies behind a name (a view, a partition, a virtual
table) and what a write sets off (cascades, triggers, rules) only the database
knows. A `Catalogue` says what is read behind a name, whether it may be read from a
cache, and how far a write reaches. `read_catalogue` fills it over a plain DBAPI
connection, in one query on PostgreSQL and a handful elsewhere, once an engine and
again after DDL; `findings` puts together what it finds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.databases.unknown import CatalogueUnknown
from yokedcache.sqlalchemy.statements.analysis import VERBS
from yokedcache.sqlalchemy.statements.sql_functions import family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from yokedcache.sqlalchemy.databases.implicit import Implicit
    from yokedcache.sqlalchemy.statements.analysis import Analysis

__all__ = ["Catalogue", "CatalogueUnknown", "read_catalogue"]

Effect = tuple[str, str, str]
"""
What a foreign key does: on this event of the parent, this verb on that child.
"""

Names = frozenset[str]
_NOTHING: frozenset[Any] = frozenset()
_NO_NAMES: Mapping[str, frozenset[Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """
    The tables of a database, and what a write to them sets off.
    """

    tables: Names = _NOTHING
    """
    Ordinary base tables, by bare case-folded name.
    """
    opaque: Names = _NOTHING
    """
    Names whose rows come from elsewhere or depend on who asks.
    """
    triggers: Names = _NOTHING
    """
    Tables on which a write may write elsewhere, in ways that can't be told.
    """
    cascades: Mapping[str, frozenset[Effect]] = field(default_factory=lambda: _NO_NAMES)
    volatile_functions: Names = _NOTHING
    """
    Functions of users that may write, by lower-case name.
    """
    inert: Names = _NOTHING
    """
    Opaque names to which a write changes nothing that can be read from a cache.
    """
    behind: Mapping[str, Names] = field(default_factory=lambda: _NO_NAMES)
    """
    The tables that are read behind a name: of a view, of a tree of partitions.
    """
    effects: Mapping[str, frozenset[tuple[str, str]]] = field(
        default_factory=lambda: _NO_NAMES
    )
    """
    What triggers write when a table is written, by verb and table.
    """
    under: Mapping[str, Names] = field(default_factory=lambda: _NO_NAMES)
    """
    What a write through a view, or to a tree of partitions, writes.
    """

    shadowing: Names = _NOTHING
    """
    Functions of users that are named like a harmless one, and aren't immutable.
    """
    calls: Mapping[str, Names] = field(default_factory=lambda: _NO_NAMES)
    """
    The functions that are called behind a view, if they aren't known to be harmless.
    """

    guarded: Names = _NOTHING
    """
    Tables of which everybody sees other rows, by policies that may read further ones.
    """

    immediate: Names = _NOTHING
    """
    Tables whose engine knows no transactions: what is written stays written.
    """

    shifting: Names = _NOTHING
    """
    Tables with columns that are computed anew at each read, and differ then.
    """

    implicit: Implicit | None = None
    """
    Functions of users that run without a call; mostly there are none.
    """

    def unreadable(self, analysis: Analysis, *, varied: bool = False) -> str | None:
        """
        Return None if what a statement reads may be cached, else the reason why not.
        """
        for name in sorted(self.shadowing & analysis.called):
            return f"unknown_function:{name}"
        return self.readable(analysis.reads, varied=varied)

    def called_by(self, analysis: Analysis) -> Names:
        """
        Return the functions that aren't known to be harmless, views' included.
        """
        called = analysis.functions | (self.shadowing & analysis.called)
        if not self.calls or self.calls.keys().isdisjoint(analysis.reads):
            return called
        return called.union(*(self.calls.get(n, _NOTHING) for n in analysis.reads))

    def readable(self, tables: Iterable[str], *, varied: bool = False) -> str | None:
        """
        Return None if all of these may be cached, else the reason why not.

        `varied` says that the app has said what answers vary on.
        """
        for name in sorted(tables):
            if name in self.shifting:
                return f"volatile_column:{name}"
            if name in self.opaque:
                return f"view:{name}"
            if name in self.guarded and not varied:
                return f"row_security:{name}"
            if name not in self.tables and name not in self.behind:
                return f"unknown_table:{name}"
        return None

    def read_behind(self, tables: Names) -> Names:
        """
        Return the tables that are read behind these names.
        """
        behind = self.behind
        if not behind or behind.keys().isdisjoint(tables):
            return tables
        return frozenset().union(*(behind.get(name, {name}) for name in tables))

    def spread(
        self,
        writes: Iterable[tuple[str, str]],
        declared: Mapping[str, Names] = _NO_NAMES,
    ) -> tuple[Names, bool]:
        """
        Return all tables that these writes change, and whether there may be more.

        `declared` says of tables what else a write to them changes: all that their
        triggers do, where these can't be read.
        """
        waiting = list(writes)
        seen = set(waiting)
        unknown = False
        while waiting:
            verb, table = waiting.pop()
            unknown |= table not in declared and self._reaches_further(table)
            for further in self._further(verb, table, declared):
                if further not in seen:
                    seen.add(further)
                    waiting.append(further)
        return frozenset(table for _, table in seen), unknown

    def written_at_once(
        self,
        writes: Iterable[tuple[str, str]],
        declared: Mapping[str, Names] = _NO_NAMES,
    ) -> bool:
        """
        Tell whether some of what is written is there before any commit.
        """
        if not self.immediate:
            return False
        tables, unknown = self.spread(writes, declared)
        return unknown or not self.immediate.isdisjoint(tables)

    def _further(
        self, verb: str, table: str, declared: Mapping[str, Names]
    ) -> Iterable[tuple[str, str]]:
        for event, effect, child in self.cascades.get(table, _NOTHING):
            if event == verb:
                yield effect, child
        yield from self.effects.get(table, _NOTHING)
        for name in self.under.get(table, _NOTHING):
            yield verb, name
        for name in declared.get(table, _NOTHING):
            for any_verb in VERBS:
                yield any_verb, name

    def _reaches_further(self, table: str) -> bool:
        if table in self.triggers:
            return True
        if table in self.under:
            return False
        if table in self.opaque:
            return table not in self.inert
        return table not in self.tables and table not in self.guarded


def read_catalogue(dbapi_connection: Any, dialect_name: str) -> Catalogue:
    """
    Read the catalogue over a DBAPI connection, or raise `CatalogueUnknown`.
    """
    from yokedcache.sqlalchemy.databases import (
        catalogue_mysql,
        catalogue_postgresql,
        catalogue_sqlite,
    )

    readers = {
        "postgresql": catalogue_postgresql.read,
        "sqlite": catalogue_sqlite.read,
        "mysql": catalogue_mysql.read,
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

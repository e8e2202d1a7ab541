"""
The tags of what a transaction wrote, worked out once for each kind of write set.

An application writes the same few sets of tables again and again, and each commit asks
several times what it changes: cascades, triggers and users' own tags included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from yokedcache.sqlalchemy.names import write_tags
from yokedcache.sqlalchemy.telling import declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from yokedcache.sqlalchemy.databases.catalogue import Catalogue
    from yokedcache.sqlalchemy.databases.database import Database

_MOST: Final = 2000

Writes = frozenset[tuple[str, str]]
Tags = tuple[str, ...]


class Written:
    """
    The tags of the write sets of one database, by one reading of its catalogue.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: tuple[
            Catalogue | None, str | None, dict[tuple[Writes, bool], Tags]
        ] = (None, None, {})

    def tags(
        self, database: Database, writes: Iterable[tuple[str, str]], *, unknown: bool
    ) -> Tags:
        """
        Name what writes change, or all of the database if that can't be told.
        """
        catalogue, identity, told = database.catalogue, database.identity, declared()
        kinds = frozenset(writes)
        if catalogue is None or identity is None or told:
            names, unknown = _named(kinds, identity, catalogue, told, unknown=unknown)
            return (*names, database.server_tag) if unknown else names
        of, whose, known = self._known
        if of is not catalogue or whose != identity or len(known) >= _MOST:
            known = {}
            self._known = (catalogue, identity, known)
        tags = known.get((kinds, unknown))
        if tags is None:
            names, all_of_it = _named(kinds, identity, catalogue, told, unknown=unknown)
            tags = (*names, database.server_tag) if all_of_it else names
            known[kinds, unknown] = tags
        return tags


def _named(
    writes: Writes,
    identity: str | None,
    catalogue: Catalogue | None,
    told: Mapping[str, frozenset[str]],
    *,
    unknown: bool,
) -> tuple[Tags, bool]:
    """
    Name the tables that writes change, and say whether there may be more.
    """
    tables = frozenset(table for _, table in writes)
    if catalogue is None:
        return write_tags(identity or "", tables), True
    spread, doubt = catalogue.spread(writes, told)
    return write_tags(identity or "", tables | spread), unknown or doubt

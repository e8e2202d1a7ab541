"""
The names of the tags that stand for databases and tables.

Inside the process a table's tag carries its database (`table:users@pg:7:5`);
users write `table:users`, which stands for the table of that name in every
database. Every answer read from a database carries `database:...` as well. Where a
server's schemas are databases of their own (`my:.../shop`), they share that tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def database_tag(identity: str) -> str:
    """
    Name the tag that every answer of a database carries.

    An identity of server and schema gives the server's: a write of unknown tables
    may be one to any schema.
    """
    return f"database:{identity.partition('/')[0]}"


def table_tag(identity: str, table: str) -> str:
    """
    Name the tag of one table.
    """
    return f"table:{table}@{identity}"


def read_tags(identity: str, tables: Iterable[str]) -> tuple[str, ...]:
    """
    Name what an answer read from these tables depends on.
    """
    return (
        database_tag(identity),
        *sorted(table_tag(identity, table) for table in tables),
    )


def write_tags(identity: str, tables: Iterable[str]) -> tuple[str, ...]:
    """
    Name what a write to these tables changes, users' own `table:` tags included.
    """
    tables = sorted(tables)
    return (
        *(table_tag(identity, table) for table in tables),
        *(f"table:{table}" for table in tables),
    )

"""
What the body of a MySQL or MariaDB trigger writes, where it is made of plain statements.

A body is one statement, or several between BEGIN and END. Each has to be DML or an
assignment to the new row; conditions, loops, variables, calls and whatever isn't known
to write nothing make it unreadable: then a write to its table may have written anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yokedcache.sqlalchemy.statements.text import analyse_text, split
from yokedcache.sqlalchemy.statements.text_mysql import spelled_out

if TYPE_CHECKING:
    from collections.abc import Collection

    from yokedcache.sqlalchemy.databases.bodies import Effects

_BLOCK = re.compile(r"\s*BEGIN\b(?P<inside>.*)\bEND\s*", re.IGNORECASE | re.DOTALL)
_ROW = re.compile(r"SET\s+NEW\s*\.\s*[\w`]+\s*:?=", re.IGNORECASE)


def effects_of_trigger(
    body: str, schema: str, distrusted: Collection[str] = ()
) -> Effects | None:
    """
    Say what a trigger writes in its own schema, or `None` if that can't be told.

    `distrusted` are functions that aren't what their names say.
    """
    plain = spelled_out(body)
    block = _BLOCK.fullmatch(plain)
    found: set[tuple[str, str]] = set()
    for statement in split(plain if block is None else block["inside"], "mysql"):
        assigned = _ROW.match(statement)
        if assigned is not None:
            statement = f"SELECT {statement[assigned.end() :]}"  # noqa: PLW2901
        does = analyse_text(statement, "mysql")
        refused = does.unknown_write or does.context or does.ddl or does.transaction
        if refused or does.functions or not does.called.isdisjoint(distrusted):
            return None
        if does.schemas - {schema} or not (does.writes or assigned):
            return None
        found |= does.writes
    return frozenset(found)

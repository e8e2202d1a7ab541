"""
Batches: many programs over one schema, and the report of one that failed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tests.differential.minimising import minimise
from tests.differential.programs import Program
from tests.differential.running import Arena
from tests.differential.schemas import draw

if TYPE_CHECKING:
    from tests.differential.schemas import Schema

PROGRAMS = 40
"""How many programs one schema is good for."""


@dataclass(frozen=True)
class Batch:
    """
    What programs to run, and where.
    """

    database: str
    face: str
    schema: int
    programs: int = PROGRAMS
    audited: bool = False
    """Each hit is asked of the database again, and must not differ."""

    def __str__(self) -> str:
        audited = "-audited" if self.audited else ""
        return f"{self.database}-{self.face}-{self.schema}{audited}"

    def drawn(self) -> Schema:
        """
        Draw the schema.
        """
        return draw(self.schema, self.database)


@dataclass
class Report:
    """
    What came of a batch.
    """

    hits: int
    loads: int
    audited: int = 0
    """Hits that were asked of the database again; the other hits are functions'."""
    chances: int = 0
    """Programs cut short because they aren't like themselves without a cache, either."""
    failure: str = ""


def run(batch: Batch, schema: Schema, engines: list[Any]) -> Report:
    """
    Run a batch up to its first failure, which is made small.
    """
    arena = Arena(schema, engines, batch.face, audited=batch.audited)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sa.exc.SAWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            tried = (_tried(batch, arena, number) for number in range(batch.programs))
            failure = next(filter(None, tried), "")
        stats = arena.cache.stats()
        total = stats.total
        loads = total.loads - stats.audited
        return Report(total.hits, loads, stats.audited, arena.chances, failure)
    finally:
        arena.close()


def _tried(batch: Batch, arena: Arena, number: int) -> str:
    # On SQLite the first savepoint begins a snapshot; a hit doesn't send it, and so
    # goes on seeing what others commit.
    nests = batch.database != "sqlite"
    program = Program(arena.schema, f"{batch.schema}.{number}", nests=nests)
    found = arena.run(program)
    if found is None:
        return ""
    if arena.comes_by_chance(program, program.steps, found):
        arena.chances += 1
        return ""
    steps, small = minimise(arena, program, found)
    if arena.comes_by_chance(program, steps, small):
        steps, small = program.steps, found
    again = f"{batch.database} {batch.face} {batch.schema} --programs {number + 1}"
    again += " --audited" if batch.audited else ""
    lines = [
        f"a program gave with a cache what it doesn't give without: {batch}",
        *(f"  {line}" for line in arena.schema.said),
        f"  sessions: {program.options}",
        *map(str, steps),
        str(small),
        f"again: python -m tests.differential {again}",
    ]
    return "\n".join(lines)

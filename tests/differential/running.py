"""
Programs run on both sides, with a cache and without, and what differs.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import async_sessionmaker

from tests.differential import databases
from tests.differential.faces import Face
from tests.differential.functions import FUNCTIONS, kept
from tests.differential.sides import Side, Writes
from yokedcache import YokedCache
from yokedcache.sqlalchemy.answers.audit import audit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.differential.programs import Program, Step
    from tests.differential.schemas import Schema

ALONE = 32
"""How often a program is run without a cache, to see whether it is like itself."""


@dataclass
class Difference:
    """
    Where the sides of a program first gave different things.
    """

    step: Step | None
    what: str
    cached: Any
    plain: Any

    def __str__(self) -> str:
        return f"{self.what} differ\n  cached: {self.cached}\n  plain:  {self.plain}"


class Arena:
    """
    Two databases with one schema, one of them behind a cache.
    """

    def __init__(
        self, schema: Schema, engines: list[Any], face: str, *, audited: bool = False
    ) -> None:
        self.schema = schema
        self.engines = engines
        self.sync = [getattr(engine, "sync_engine", engine) for engine in engines]
        self.face = face
        self.chances = 0
        self.writes = [Writes(engine) for engine in self.sync]
        self.cache = YokedCache(jitter=0, verify=float(audited))
        self._audit = audit_of(self.cache.machine)
        self.functions = [kept(self.cache), FUNCTIONS]
        for engine in self.sync:
            databases.create(schema, engine)
        with orm.Session(self.sync[1]) as session:
            schema.fill(session)
        with self.sync[1].connect() as connection:
            self._first = [
                (table, [row._asdict() for row in connection.execute(sa.select(table))])
                for table in schema.base.metadata.sorted_tables
            ]

        gc.collect()
        gc.freeze()  # what was there before needn't be looked at after each program

    def close(self) -> None:
        """
        Let the cache and the schema go; whoever made the engines disposes of them.
        """
        gc.unfreeze()
        self.cache.sync.close()
        self.schema.dispose()

    def reset(self) -> None:
        """
        Let both databases begin anew, and the audits.
        """
        self._audit.differences.clear()
        for engine in self.sync:
            databases.empty(self.schema, engine)
            with engine.begin() as connection:
                for table, rows in self._first:
                    if rows:
                        connection.execute(sa.insert(table), rows)
                for table, _ in self._first:
                    if "touched" in table.c:
                        connection.execute(sa.update(table).values(touched=0))

    def run(
        self, program: Program, steps: Iterable[Step] | None = None
    ) -> Difference | None:
        """
        Run a program, or some steps of it; give the first difference.
        """
        self.reset()
        gc.disable()  # when cycles are freed is chance, and seen in identity maps
        try:
            return self._run(program, program.steps if steps is None else steps)
        finally:
            gc.enable()
            gc.collect()
            gc.freeze()  # nor what outlived this one

    def comes_by_chance(
        self, program: Program, steps: Iterable[Step], found: Difference
    ) -> bool:
        """
        Say whether SQLAlchemy alone gives, now and then, what the cached side gave.

        Units of work and cascades go through sets, in the order of addresses; what
        they load on the way and keep alive differs from run to run.
        """
        steps = list(steps)
        noise: list[Any] = []
        for number in range(ALONE):
            noise.append([object() for _ in range(997 * number % 5003)])
            self.reset()
            if self._alone(program, steps, found) == found.cached:
                return True
        return False

    def _alone(self, program: Program, steps: list[Step], found: Difference) -> Any:
        """
        Run steps without a cache; give what the last of them shows.
        """
        engine = self.sync[1]
        make = self._faced(self._maker(self.engines[1], program.options))
        side = Side(engine, self.writes[1], make, self.functions[1])
        seen: dict[str, Any] = {}
        gc.disable()
        try:
            for step in steps:
                seen = side.step(step.act)
                if step is found.step:
                    break
        finally:
            side.close()
            gc.enable()
        seen["tables"] = databases.content(self.schema, engine)
        return seen.get(found.what)

    def _run(self, program: Program, steps: Iterable[Step]) -> Difference | None:
        makers = [self._maker(engine, program.options) for engine in self.engines]
        self.cache.attach(makers[0])
        sides = [
            Side(engine, writes, self._faced(maker), functions)
            for engine, writes, maker, functions in zip(
                self.sync, self.writes, makers, self.functions, strict=True
            )
        ]
        try:
            for step in steps:
                cached, plain = (side.step(step.act) for side in sides)
                for what, seen in cached.items():
                    if seen != plain[what]:
                        return Difference(step, what, seen, plain[what])
                if self._audit.differences:
                    wrong = dict(self._audit.differences)
                    return Difference(step, "what was kept and an audit", wrong, {})
        finally:
            closed = [side.close() for side in sides]
        if closed[0] != closed[1]:
            return Difference(None, "closing", *closed)
        tables = [databases.content(self.schema, engine) for engine in self.sync]
        return None if tables[0] == tables[1] else Difference(None, "tables", *tables)

    def _maker(self, engine: Any, options: dict[str, Any]) -> Any:
        if self.face == "sync":
            return orm.sessionmaker(engine, **options)
        return async_sessionmaker(engine, **options)

    def _faced(self, maker: Any) -> Callable[[], Any]:
        return maker if self.face == "sync" else lambda: Face(maker())

"""
Run batches of differential programs by hand.

`python -m tests.differential sqlite sync 7` runs schema 7, `7-20` those from 7 to 20.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.util import greenlet_spawn

from tests.differential import databases
from tests.differential.batches import PROGRAMS, Batch, Report, run
from tests.services.postgres import Postgres
from yokedcache.runtime import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def _places(database: str) -> Iterator[Any]:
    """
    Give a function that makes two empty databases.
    """
    if database == "postgresql":
        with Postgres().running() as server:
            yield lambda: [server.create_database() for _ in range(2)]
        return
    with tempfile.TemporaryDirectory() as folder:

        def make() -> list[Path]:
            return [Path(tempfile.mkdtemp(dir=folder)) for _ in range(2)]

        yield make


def _run(batch: Batch, places: list[Any]) -> Report:
    schema = batch.drawn()
    if batch.face == "sync":
        with databases.engines(schema, places, batch.face) as made:
            return run(batch, schema, made)

    async def awaited() -> Report:
        with databases.engines(schema, places, batch.face) as made:
            report: Report = await greenlet_spawn(run, batch, schema, made)
            for engine in made:
                await engine.dispose()
        return report

    return asyncio.run(awaited())


def main() -> int:
    """
    Run what the command line says; 1 if a program failed.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("database", choices=["sqlite", "postgresql"])
    parser.add_argument("face", choices=["sync", "async"])
    parser.add_argument("schemas", help="a number, or a range of them: 7-20")
    parser.add_argument("--programs", type=int, default=PROGRAMS)
    parser.add_argument("--audited", action="store_true", help="verify=1.0")
    asked = parser.parse_args()
    first, _, last = asked.schemas.partition("-")
    log.raise_faults = True
    hits = loads = audited = chances = failures = 0
    began = time.monotonic()
    with _places(asked.database) as make:
        for number in range(int(first), int(last or first) + 1):
            batch = Batch(
                asked.database, asked.face, number, asked.programs, asked.audited
            )
            report = _run(batch, make())
            hits, loads = hits + report.hits, loads + report.loads
            audited, chances = audited + report.audited, chances + report.chances
            if report.failure:
                failures += 1
                print(report.failure, flush=True)
    print(
        f"{hits} hits, {audited} audited, {loads} loads, "
        f"{chances} by chance, {failures} schemas with failures, "
        f"{time.monotonic() - began:.1f} s, {time.process_time():.1f} s of this process"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

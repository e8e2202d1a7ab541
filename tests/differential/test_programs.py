"""
Random programs give the same with a cache as without.

Same results, exceptions, writes, states of sessions, and tables in the end. The gate
runs the same 2,000 each time, 200 of them on the older series; `make nightly` runs 100,000 that no night ran before.
In every fifth batch each hit is audited (`verify=1.0`), and none may raise an alarm.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy
from sqlalchemy.util import greenlet_spawn

from tests.differential import databases
from tests.differential.batches import PROGRAMS, Batch, Report, run

if TYPE_CHECKING:
    from collections.abc import Callable

_NEWEST = sqlalchemy.__version__.split(".")[:2] >= ["2", "1"]
TOTAL = int(os.environ.get("YOKEDCACHE_PROGRAMS", "1800" if _NEWEST else "200"))
"""All of them on one series, a sample on the other: minutes count."""
FIRST = int(os.environ.get("YOKEDCACHE_SEED", "0"))
"""The number of the first schema."""

NIGHT = os.environ.get("YOKEDCACHE_PASSED")
"""Where it is written down which batches passed; those aren't run once more."""

# a failing program is run again many times; a night's machine may do other things, too
pytestmark = pytest.mark.timeout(300 if TOTAL <= 2000 else 0)

AUDITED = 5
"""Of so many batches one is audited; no divisor of the places, so that all have some."""

USEFUL = 0.2
"""The share of reads that must be hits: a program that never hits proves nothing."""

CHANCES = 2
"""
How many programs of a batch may give this or that without a cache, too: more would be
a harness that looks away.
"""

_PLACES = [
    *[("sqlite", "sync")] * 3,
    *[("sqlite", "async")] * 2,
    *[("postgresql", "sync")] * 2,
    ("postgresql", "async"),
]


def batches(face: str) -> list[Batch]:
    """
    List the batches of one face.
    """
    places = itertools.cycle(_PLACES)
    every = [
        Batch(
            *next(places),
            schema=FIRST + number,
            audited=number % AUDITED == AUDITED - 1,
        )
        for number in range(TOTAL // PROGRAMS)
    ]
    return [batch for batch in every if batch.face == face]


def left(face: str) -> list[Batch]:
    """
    List those that haven't passed yet, in a night that goes on.
    """
    every = batches(face)
    night = Path(NIGHT) if NIGHT else None
    passed = set(night.read_text().split()) if night and night.exists() else set()
    return [batch for batch in every if str(batch) not in passed] or every[:1]


def judge(batch: Batch, report: Report) -> None:
    """
    Fail with the program that failed, or for want of hits, or of certainty.
    """
    assert not report.failure, report.failure
    assert report.chances <= CHANCES
    hits = report.hits + report.audited
    assert hits > USEFUL * (hits + report.loads)
    if NIGHT:
        Path(NIGHT).parent.mkdir(exist_ok=True)
        with Path(NIGHT).open("a") as night:
            night.write(f"{batch}\n")


def test_each_place_has_audited_programs() -> None:
    audited = [b for face in ("sync", "async") for b in batches(face) if b.audited]
    assert audited
    if PROGRAMS * AUDITED * len(_PLACES) <= TOTAL:
        assert {(b.database, b.face) for b in audited} == set(_PLACES)


@pytest.mark.filterwarnings("ignore:Exception ignored in.*ServerCursor")  # left open
@pytest.mark.parametrize("batch", left("sync"), ids=str)
def test_programs_see_no_difference(
    make_places: Callable[[str], list[Any]], batch: Batch
) -> None:
    schema = batch.drawn()
    places = make_places(batch.database)
    with databases.engines(schema, places, batch.face) as engines:
        judge(batch, run(batch, schema, engines))


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
@pytest.mark.parametrize("batch", left("async"), ids=str)
async def test_programs_over_async_sessions_see_no_difference(
    make_places: Callable[[str], list[Any]], batch: Batch
) -> None:
    schema = batch.drawn()
    places = make_places(batch.database)
    with databases.engines(schema, places, batch.face) as engines:
        try:
            judge(batch, await greenlet_spawn(run, batch, schema, engines))
        finally:
            for engine in engines:
                await engine.dispose()

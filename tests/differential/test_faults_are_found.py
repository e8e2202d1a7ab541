"""
A planted fault is found, and the program that found it is made small.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.differential import databases
from tests.differential.batches import Batch, run
from tests.differential.programs import Program
from tests.differential.running import Arena, Difference
from yokedcache.sqlalchemy.answers.stamping import Stamp
from yokedcache.sqlalchemy.databases.database import Database
from yokedcache.sqlalchemy.statements import analysis, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(300)  # a failing program is run again many times

BATCH = Batch("sqlite", "sync", schema=302)
AUDITED = Batch("sqlite", "sync", schema=302, audited=True)
STEP = re.compile(r"^ *\d+  session", re.MULTILINE)


def _commits_announce_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Database, "tags_written", lambda *_, **__: ())


def _instances_that_are_held_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stamp, "fits", lambda *_: True)


@pytest.mark.parametrize(
    "plant", [_commits_announce_nothing, _instances_that_are_held_are_made_again]
)
def test_a_planted_fault_is_found_and_made_small(
    make_places: Callable[[str], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    plant(monkeypatch)
    schema = BATCH.drawn()
    with databases.engines(schema, make_places("sqlite"), "sync") as engines:
        failure = run(BATCH, schema, engines).failure
    assert 1 <= len(STEP.findall(failure)) <= 5
    assert "again: python -m tests.differential sqlite sync 302" in failure


@pytest.fixture
def nothing_is_known_of_texts() -> Iterator[None]:
    """
    Have statements written by hand read anew, before the test and after it.

    What a planted fault makes of them would be remembered, and fail others.
    """
    text._analyse.cache_clear()
    yield
    text._analyse.cache_clear()


def _reads_of_one_table_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = analysis.Notes.read
    forgotten: list[str] = []

    def forgetful(self: Any, name: str, schema: str | None) -> None:
        forgotten[:] = forgotten or [name]
        if name not in forgotten:
            reading(self, name, schema)

    monkeypatch.setattr(analysis.Notes, "read", forgetful)


@pytest.mark.usefixtures("nothing_is_known_of_texts")
@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(_commits_announce_nothing, marks=pytest.mark.night),
        _reads_of_one_table_are_forgotten,
    ],
)
def test_audits_find_a_planted_fault_without_another_database(
    make_places: Callable[[str], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    plant(monkeypatch)
    schema = AUDITED.drawn()
    with databases.engines(schema, make_places("sqlite"), "sync") as engines:
        failure = run(AUDITED, schema, engines).failure
    assert "what was kept and an audit differ" in failure
    assert STEP.search(failure)
    assert "--audited" in failure


def test_what_differs_without_a_cache_as_well_is_chance(
    make_places: Callable[[str], list[Any]],
) -> None:
    schema = BATCH.drawn()
    with databases.engines(schema, make_places("sqlite"), "sync") as engines:
        arena = Arena(schema, engines, "sync")
        program = Program(schema, "302.0", length=1)
        step, orders = program.steps[0], itertools.cycle(["ab", "ba"])
        step.act = lambda _: next(orders)
        try:
            by_chance = [
                arena.comes_by_chance(
                    program, [step], Difference(step, "seen", cached, "ab")
                )
                for cached in ("ba", "bb")
            ]
        finally:
            arena.close()
    assert by_chance == [True, False]

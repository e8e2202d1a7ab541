"""
What a process draws: reads up to its share, and writes in bursts.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING

from consistency.events import WRITE, now
from consistency.player import Part, Player

if TYPE_CHECKING:
    from pathlib import Path


def moves(folder: Path, *, writes: float, seed: int = 1) -> list[tuple[int, int]]:
    part = Part(
        contender="uncached",
        process=0,
        tasks=1,
        reads=4000,
        seconds=1,
        writes=writes,
        burst=4,
        rows=3,
        seed=seed,
        database="",
        store="",
        log=str(folder / "log"),
    )
    assert Part(**json.loads(part.told())) == part
    player = Player(part)
    player._until = now() + 10**12
    drawn = list(player._moves(task=0, reads=2))
    player._log.close()
    return drawn


def test_writes_come_in_bursts_of_one_row(tmp_path: Path) -> None:
    drawn = moves(tmp_path, writes=0.1)
    written = [move for move in drawn if move[0] == WRITE]
    assert 0.05 < len(written) / len(drawn) < 0.15
    for (way, _row), burst in groupby(drawn):
        assert way != WRITE or len(list(burst)) % 4 == 0
    reads = [move for move in drawn if move[0] != WRITE]
    assert len(reads) == 4000
    assert set(reads) == {(way, row) for way in (1, 2) for row in (1, 2, 3)}


def test_reader_never_writes(tmp_path: Path) -> None:
    assert all(way != WRITE for way, _row in moves(tmp_path, writes=0.0))


def test_one_seed_draws_the_same(tmp_path: Path) -> None:
    drawn = moves(tmp_path, writes=0.1)
    assert moves(tmp_path, writes=0.1) == drawn
    assert moves(tmp_path, writes=0.1, seed=2) != drawn

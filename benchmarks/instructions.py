"""
Section `instructions`: the processor's instructions of a read, as valgrind counts them.

They don't vary as times do, so this is what to look at on a busy machine. They are no
times either: a wait for a server has none, and not all of them take equally long.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from environments import PROJECT
from measure import Line, Spread
from orm import BAR_OF_RECIPE, postgresql, sqlite
from reads import READS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Effort

TITLE = "Instructions of a read through a session"
FEW, MANY = 20, 70
"""Calls of the two runs whose difference is taken: neither start nor warm-up counts."""
VALGRIND = (
    "valgrind",
    "--tool=cachegrind",
    "--cache-sim=no",
    f"--cachegrind-out-file={os.devnull}",
)


def measure(effort: Effort) -> Iterator[Line]:
    """
    Count what a hit, a tracked and an untracked read and the recipe take.
    """
    if shutil.which(VALGRIND[0]) is None:
        yield Line("left out: valgrind isn't installed", "")
        return
    shapes = list(READS)[: 1 if effort.quick else None]
    for database in (sqlite, postgresql):
        with database() as engine:
            # This process mustn't be seen at the database: another section may have
            # made a cache in it, and two processes with caches both stop serving.
            url = engine.url.render_as_string(hide_password=False)
            _counted([sys.executable], "fill", "", url, 0)
            for shape in shapes:
                yield from _lines(f"{engine.dialect.name}, {shape}", shape, url)


def _lines(what: str, shape: str, url: str) -> Iterator[Line]:
    names = ("ours", "tracked", "uncached", "recipe")
    counts = {name: _count(name, shape, url) for name in names}
    bar = None if shape == "get" else BAR_OF_RECIPE
    yield _line(counts, what, "ours", "uncached", None)
    yield _line(counts, what, "ours", "recipe", bar)
    yield _line(counts, f"{what}: tracking", "tracked", "uncached", None)


def _line(
    counts: dict[str, int], what: str, ours: str, theirs: str, bar: float | None
) -> Line:
    ratio = counts[ours] / counts[theirs]
    figure = f"{counts[ours]:,} / {counts[theirs]:,}"
    return Line(what, figure, theirs, Spread(ratio, ratio, ratio), bar)


def _count(contender: str, shape: str, url: str) -> int:
    few, many = (_run(contender, shape, url, calls) for calls in (FEW, MANY))
    return (many - few) // (MANY - FEW)


def _run(contender: str, shape: str, url: str, calls: int) -> int:
    said = _counted([*VALGRIND, sys.executable], contender, shape, url, calls)
    found = re.search(r"I +refs: +([\d,]+)", said)
    if found is None:
        msg = f"valgrind gave no count:\n{said}"
        raise RuntimeError(msg)
    return int(found[1].replace(",", ""))


def _counted(
    command: list[str], contender: str, shape: str, url: str, calls: int
) -> str:
    script = str(Path(__file__).with_name("counted.py"))
    ran = subprocess.run(
        [*command, script, contender, shape, url, str(calls)],
        env={
            **os.environ,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(PROJECT / "src"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        msg = f"{contender} ended with {ran.returncode}:\n{ran.stderr}"
        raise RuntimeError(msg)
    return ran.stderr

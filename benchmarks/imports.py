"""
Section `imports`: what `import yokedcache` costs and needs.

It runs in an environment that has the one dependency and nothing else, so that
an import of SQLAlchemy, redis or FastAPI along the way would fail. The time is
the processor's, and the least of many counts: what more an import takes, other
processes took.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
from typing import TYPE_CHECKING

from environments import PROJECT, environment, surroundings
from measure import Effort, Line, Spread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TITLE = "Import of yokedcache"

BAR = 0.05
"""Seconds."""

IMPORT = "import time; t = time.process_time(); {}; print(time.process_time() - t)"
SHOW = (
    "import sys, yokedcache; "
    "print(*{m.partition('.')[0] for m in sys.modules} & {'sqlalchemy', 'redis', 'fastapi'})"
)


def measure(effort: Effort) -> Iterator[Line]:
    """
    Import it in fresh processes, alone and beside all it could want.
    """
    # as installers do: a checkout has no bytecode of what changed since it was used
    compileall.compile_dir(PROJECT / "src", quiet=1)
    times = 5 if effort.quick else 20
    yield _line("with its dependency alone", environment("alone", "msgpack"), times)
    yield _line("where SQLAlchemy is installed", sys.executable, times)
    loaded = _output(sys.executable, SHOW).strip()
    count = Spread.of([float(len(loaded.split()))])
    yield Line("optional packages it loads", loaded or "none", "", count, 0.0)


def _line(what: str, python: str | Path, times: int) -> Line:
    code = IMPORT.format("import yokedcache")
    seconds = [float(_output(python, code)) for _ in range(times)]
    spread = Spread.of(seconds)
    shares = Spread(*[spread.least / BAR] * 3)
    figure = f"least {spread.least * 1e3:.1f}, median {spread.median * 1e3:.1f} ms"
    return Line(what, figure, "50 ms", shares, 1.0)


def _output(python: str | Path, code: str) -> str:
    done = subprocess.run(
        [python, "-c", code],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        env=surroundings(),
    )
    return done.stdout

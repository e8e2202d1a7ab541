"""
`make bench`: measure yokedcache against its bars, one table a section.

Ends with 0 unless something breaks; with `--check` also with 1 if a bar is
missed. How it is measured is told in README.md beside this file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments import PROJECT
from measure import Effort, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS = (
    "functions",
    "orm",
    "instructions",
    "writes",
    "mixed",
    "tags",
    "hit_ratio",
    "levels",
    "redis_reads",
    "postgres_reads",
    "shared_hits",
    "shared_tags",
    "stampede",
    "imports",
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    sys.path.insert(0, str(PROJECT / "src"))
    standard = Effort(rounds=7, turn=0.01, quick=True) if options.quick else Effort()
    effort = Effort(options.rounds or standard.rounds, standard.turn, standard.quick)
    results: dict[str, list[Line]] = {}
    for name in options.only or SECTIONS:
        results[name] = _section(name, effort)
    if options.json:
        shown = {name: [*map(_plain, lines)] for name, lines in results.items()}
        options.json.write_text(json.dumps(shown, indent=2) + "\n")
    bars = [
        line for lines in results.values() for line in lines if line.bar is not None
    ]
    missed = sum(line.missed for line in bars)
    print(f"{len(bars) - missed} of {len(bars)} bars met")
    return 1 if options.check and missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=SECTIONS, help="measure this section"
    )
    parser.add_argument("--rounds", type=int, help="how often contenders take turns")
    parser.add_argument(
        "--quick", action="store_true", help="a rough look, in a minute"
    )
    parser.add_argument(
        "--check", action="store_true", help="end with 1 on a missed bar"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results there")
    return parser


def _section(name: str, effort: Effort) -> list[Line]:
    section: Any = importlib.import_module(name)
    print(f"{name}: {section.TITLE}")
    print(_row("", "measured", "ratio (least-most)", "to", "bar"))
    began = time.monotonic()
    lines = []
    for line in section.measure(effort):
        lines.append(line)
        print(_shown(line), flush=True)
    print(f"  ({time.monotonic() - began:.0f} s)\n")
    return lines


def _shown(line: Line) -> str:
    ratio = ""
    if line.ratio is not None:
        least, median, most = (
            f"{number:.3g}" for number in asdict(line.ratio).values()
        )
        ratio = median if least == most else f"{median} ({least}-{most})"
    bar = "" if line.bar is None else f"{line.bar:g}"
    verdict = "" if line.bar is None else "MISSED" if line.missed else "ok"
    return f"{_row(line.what, line.figure, ratio, line.against, bar)} {verdict}"


def _row(what: str, figure: str, ratio: str, against: str, bar: str) -> str:
    return f"  {what:<34} {figure:<29} {ratio:<22} {against:<15} {bar:<5}"


def _plain(line: Line) -> dict[str, Any]:
    return asdict(line) | {"ok": None if line.bar is None else not line.missed}


if __name__ == "__main__":
    sys.exit(main())

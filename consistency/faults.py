"""
`make consistency ARGS="--fault all"`: the history check while something goes wrong.

A line of the table is a fault and what becomes of commits that can't be announced. Ends
with 1 if any of them breaks its promise.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from consistency import report
from consistency.cells import PACE, Case, Cell, Pace, play
from consistency.contenders import CONTENDERS, Contender
from consistency.crew import PlayerError
from consistency.nemeses import NEMESES
from consistency.promises import breaches
from consistency.proof import lacking

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from consistency.recovery import Recovery
    from consistency.stage import Load, Stage

ALL: Final = "all"
SETTINGS: Final = ("commit", "refuse")
COLUMNS: Final = (
    ("fault", 38),
    ("`on_unreachable`", 16),
    ("promise", 27),
    ("faults", 6),
    ("reads", 7),
    ("hits", 4),
    ("stale", 5),
    ("backwards", 9),
    ("oldest", 9),
    ("failed", 6),
    ("refused", 7),
    ("seen of the fault", 32),
    ("reads answered", 14),
    ("commits made", 12),
    ("slowest read", 12),
    ("hits are back", 22),
    ("held", 4),
)


def main(stage: Stage, load: Load, options: argparse.Namespace) -> list[str]:
    """
    Fill the table; return what is to complain about.
    """
    pace = pace_of(options)
    contender = CONTENDERS["yokedcache"]
    complaints: list[str] = []
    told: list[str] = []
    print(*head(), sep="\n", flush=True)
    for name in chosen(options.fault):
        for setting in options.on_unreachable or SETTINGS:
            where = f"{name}, {setting}"
            case = Case(NEMESES[name], setting)
            try:
                cell = play(stage, contender, load, pace, case)
            except PlayerError as error:
                complaints.append(f"{where}: {error}")
                continue
            print(line(cell, pace), flush=True)
            found = wrong(cell, pace)
            complaints += [f"{where}: {one}" for one in found]
            if found:
                told += [f"{where}: {one}" for one in examples(contender, cell)]
    print("", *told, sep="\n\n")
    return complaints


def pace_of(options: argparse.Namespace) -> Pace:
    """
    Give how often something is to happen, and how fast the cache is to recover.
    """
    return Pace(
        seconds=options.seconds or PACE.seconds,
        every=options.every,
        lease=options.lease,
        grace=options.grace,
        ttl=options.ttl,
        patience=options.store_timeout,
    )


def chosen(names: Sequence[str]) -> list[str]:
    """
    Give the faults that were asked for.
    """
    return list(NEMESES) if ALL in names else list(names)


def wrong(cell: Cell, pace: Pace) -> list[str]:
    """
    List what fails a cell.
    """
    found = breaches(cell.case.promise, cell.found, ttl=pace.ttl)
    return [*found, *lacking(cell, pace)]


def head() -> list[str]:
    """
    Give the head of a table in Markdown.
    """
    names = [f"{name:<{width}}" for name, width in COLUMNS]
    return [_row(names), _row(["-" * width for _, width in COLUMNS])]


def line(cell: Cell, pace: Pace) -> str:
    """
    Give a cell's line.
    """
    found, accounts = cell.found, cell.found.accounts
    nemesis = cell.case.nemesis
    verdict = found.verdict
    oldest = max(
        (one.age for one in (*verdict.stale, *verdict.backwards)), default=None
    )
    cells = (
        nemesis.title,
        cell.case.on_unreachable,
        str(cell.case.promise).partition(",")[0],
        f"{len(cell.strikes):,}",
        f"{accounts.answered:,}",
        f"{found.hits:.0%}",
        f"{len(verdict.stale):,}",
        f"{len(verdict.backwards):,}",
        "" if oldest is None else f"{oldest / 1e6:,.0f} ms",
        f"{accounts.unanswered + accounts.broken:,}",
        f"{accounts.refused:,}",
        ", ".join(f"{cell.signs.get(sign, 0):,} {sign}" for sign in nemesis.shows),
        f"{accounts.reads_available:.2%}",
        f"{accounts.writes_available:.1%}",
        f"{found.slowest / 1e6:,.0f} ms",
        recovered(found.recovery),
        "no" if wrong(cell, pace) else "yes",
    )
    return _row(
        [f"{text:<{width}}" for text, (_, width) in zip(cells, COLUMNS, strict=True)]
    )


def recovered(recovery: Recovery) -> str:
    """
    Say after what time hits were back: usually, and at the latest.
    """
    if not (times := recovery.known):
        return "never before the next"
    usual, latest = median(times) / 1e9, max(times) / 1e9
    said = f"{usual:.2f} s, {latest:.2f} s"
    return f"{said} ({recovery.never} not)" if recovery.never else said


def examples(contender: Contender, cell: Cell) -> list[str]:
    """
    Show the first violations, where they fell, and what failed.
    """
    verdict = cell.found.verdict
    chosen = (*verdict.stale[: report.SHOWN], *verdict.backwards[: report.SHOWN])
    shown = [
        f"{report.violation(contender, cell.ways, one)}\n{_when(cell, one.read.began)}"
        for one in chosen
    ]
    failures = sorted(cell.failures.items(), key=lambda item: -item[1])
    return [*shown, *(f"{n} times {what}" for what, n in failures[: report.SHOWN])]


def _when(cell: Cell, moment: int) -> str:
    """
    Say how a moment lies to the last strike before it.
    """
    before = [strike for strike in cell.strikes if strike.began <= moment]
    if not before:
        return "  before any fault"
    last = before[-1]
    lasted = (last.ended - last.began) / 1e6
    whom = "" if last.victim is None else f", of process {last.victim}"
    return (
        f"  read {(moment - last.ended) / 1e6:+,.0f} ms from the end of a fault of "
        f"{lasted:,.0f} ms{whom}"
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

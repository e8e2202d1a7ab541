"""
What is printed: a line a contender, and the events that show a violation.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from rich.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from consistency.contenders import Contender
    from consistency.events import Event
    from consistency.judge import Violation
    from consistency.stage import Load, Outcome

_WIDTHS = (24, 10, 8, 7, 7, 9, 9, 10, 10, 9)
SHOWN = 2
"""How many violations of a kind are shown in full."""


def head() -> str:
    """
    Give the table's head.
    """
    titles = (
        "reads",
        "writes",
        "hits",
        "near",
        "stale",
        "of them",
        "backwards",
        "worst",
        "reads/s",
    )
    return _row("", *titles)


def line(contender: Contender, outcome: Outcome) -> str:
    """
    Give a contender's line.
    """
    verdict = outcome.verdict
    seconds = verdict.nanoseconds / 1e9
    return _row(
        contender.title,
        f"{verdict.reads:,}",
        f"{verdict.writes:,}",
        f"{outcome.hit_ratio:.0%}",
        f"{outcome.near / verdict.reads:.0%}" if outcome.near else "",
        f"{len(verdict.stale):,}",
        f"{verdict.stale_share:.2%}",
        f"{len(verdict.backwards):,}",
        f"{verdict.worst / 1e6:,.0f} ms",
        f"{verdict.reads / seconds if seconds else 0:,.0f}",
    )


def examples(contender: Contender, outcome: Outcome) -> list[str]:
    """
    Show the first violations of each kind, by their events, and what failed.
    """
    verdict = outcome.verdict
    chosen = [*verdict.stale[:SHOWN], *verdict.backwards[:SHOWN]]
    shown = [violation(contender, outcome.ways, one) for one in chosen]
    failures = outcome.failures.most_common(SHOWN)
    return [*shown, *(f"{contender.title}: {n} times {what}" for what, n in failures)]


@contextlib.contextmanager
def progress(title: str, load: Load) -> Iterator[Callable[[int], None]]:
    """
    Give what is told how many events there are; a bar shows it on a terminal.
    """
    if not sys.stdout.isatty():
        yield lambda _events: None
        return
    with Progress(transient=True) as bar:
        task = bar.add_task(title, total=load.reads)
        yield lambda events: bar.update(task, completed=events)


def _row(first: str, *rest: str) -> str:
    cells = [f"{cell:>{width}}" for cell, width in zip(rest, _WIDTHS[1:], strict=True)]
    return f"{first:<{_WIDTHS[0]}}" + "".join(cells)


def violation(
    contender: Contender, ways: Mapping[int, list[str]], violation: Violation
) -> str:
    """
    Show a violation by the two events that prove it.
    """
    read, before = violation.read, violation.before
    words = {
        "stale": "a read that is older than a commit before it",
        "backwards": "a read that is older than a read before it",
    }
    since = before.began
    return "\n".join(
        [
            f"{contender.title}, row {read.row}: {words[violation.kind]}",
            _event(before, ways, since),
            _event(read, ways, since),
        ]
    )


def _event(event: Event, ways: Mapping[int, list[str]], since: int) -> str:
    began, ended = ((moment - since) / 1e6 for moment in (event.began, event.ended))
    way = ways[event.process][event.way]
    who = f"process {event.process}, task {event.task}"
    return (
        f"  {began:>12,.3f} to {ended:>12,.3f} ms  value {event.value:<7} {way}, {who}"
    )

"""
The demo's screen: tables, bars and lines, in a terminal or a log file.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 100
UNICODE = (sys.stdout.encoding or "").lower().startswith("utf")
MICRO, TIMES, SQUARE = ("µs", "×", "■") if UNICODE else ("us", "x", "#")  # noqa: RUF001
PLAIN, CACHED = "dark_orange3", "green3"


def make_console() -> Console:
    """
    Make a console that also writes to pipes and to terminals without Unicode.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH
    console.width = min(console.width, WIDTH)
    return console


def duration(seconds: float) -> str:
    """
    Write a duration in the unit that reads best.
    """
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} {MICRO}"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s"


def ratio(number: float) -> str:
    """
    Write how many times faster something is.
    """
    return f"{number:,.1f}{TIMES}" if number < 10 else f"{number:,.0f}{TIMES}"


def title(console: Console, text: str, said: str = "") -> None:
    """
    Begin an act.
    """
    console.print()
    console.rule(f"[bold]{text}", align="left", style="bright_black")
    if said:
        console.print(Padding(said, (0, 2)))


def make_table(*columns: tuple[str, bool]) -> Table:
    """
    Make a table; each column is a heading and whether it holds numbers.
    """
    table = Table(box=SIMPLE_HEAD, padding=(0, 0, 0, 1), header_style="bold")
    for heading, numbers in columns:
        table.add_column(
            heading, justify="right" if numbers else "left", no_wrap=numbers
        )
    return table


def verdict(fine: bool) -> Text:  # noqa: FBT001
    """
    Write whether a claim held.
    """
    return Text("yes", style="bold green3") if fine else Text("NO", style="bold red")


def bars(console: Console, rows: Sequence[tuple[str, float, float]]) -> None:
    """
    Draw two bars a row on one scale: time without and with the cache.
    """
    longest = max(max(plain, cached) for _, plain, cached in rows)
    names = max(len(name) for name, _, _ in rows)
    width = max(20, console.width - names - 24)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", width=names + 2)
    grid.add_column(width=width)
    grid.add_column(justify="left", no_wrap=True)
    for name, plain, cached in rows:
        grid.add_row(name, _bar(plain / longest, width, PLAIN), duration(plain))
        grid.add_row("", _bar(cached / longest, width, CACHED), duration(cached))
    console.print(grid)
    console.print(
        Padding(
            f"[{PLAIN}]{SQUARE}[/] without the cache   [{CACHED}]{SQUARE}[/] with it   "
            "(linear; one scale for all)",
            (1, 0, 0, names + 3),
        )
    )


def _bar(part: float, width: int, style: str) -> Bar | Text:
    if UNICODE:
        return Bar(1.0, 0, max(part, 1 / 8 / width), width=width, color=style)
    return Text("#" * max(1, round(part * width)), style=style)

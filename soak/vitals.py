"""
The memory of the application's processes, and of the store, as time goes by.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = os.sysconf("SC_PAGE_SIZE")
GROWTH = 1.05
"""The memory of the last third of a run, in that of the second: more is no flat line."""


def memory(parent: int) -> int:
    """
    Give the bytes that a process and its children have in memory.
    """
    return sum(_resident(process) for process in (parent, *children(parent)))


def children(parent: int) -> list[int]:
    """
    Give the numbers of a process's children.
    """
    tasks = Path(f"/proc/{parent}/task")
    return [
        int(number)
        for task in tasks.iterdir()
        for number in (task / "children").read_text().split()
    ]


def growth(samples: Sequence[int]) -> float:
    """
    Give how the last third compares with the one before; the first is for warming up.
    """
    third = len(samples) // 3
    if not third:
        return 1.0
    return median(samples[-third:]) / median(samples[-2 * third : -third])


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    except FileNotFoundError:  # it has just ended
        return 0

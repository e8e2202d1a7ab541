"""
How everything here is measured: in turns, in short rounds, as paired ratios.

Speeds of shared machines drift by a factor of two within minutes, so no time is
compared with one from another run. In each round every contender runs once for
some milliseconds, in an order drawn anew; a ratio is made of two times of one
round, and what counts is the median of the rounds' ratios.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Run = Callable[[int], float]
"""Does a thing so many times and says how many seconds that took."""

SPENT = time.process_time
"""
The clock for what waits for nothing: the processor's time, of which other
processes take none.
"""

PASSED = time.perf_counter
"""The clock for what waits for a server: the wall's."""

SHORTEST = 0.002
"""Seconds that a calibrating run has to take before it is believed."""


@dataclass(frozen=True, slots=True)
class Effort:
    """
    How long to measure: rounds, and seconds that a contender gets in each.
    """

    rounds: int = 25
    turn: float = 0.03
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """
    The median of some numbers, and how far they went.
    """

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, numbers: list[float]) -> Spread:
        return cls(min(numbers), statistics.median(numbers), max(numbers))


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line of a section's table.

    `figure` is what was measured, in words; `ratio` what is held against `bar`,
    which it must not exceed.
    """

    what: str
    figure: str
    against: str = ""
    ratio: Spread | None = None
    bar: float | None = None

    @property
    def missed(self) -> bool:
        return (
            self.bar is not None
            and self.ratio is not None
            and self.ratio.median > self.bar
        )


Times = dict[str, list[float]]
"""Seconds a call by contender, one for each round."""


def contest(contenders: dict[str, Run], effort: Effort) -> Times:
    """
    Let contenders take turns.
    """
    calls = {name: _calls(run, effort.turn) for name, run in contenders.items()}
    times: Times = {name: [] for name in contenders}
    order = list(contenders)
    dice = random.Random(1)
    for _ in range(effort.rounds):
        dice.shuffle(order)
        for name in order:
            times[name].append(contenders[name](calls[name]) / calls[name])
    return times


def _calls(run: Run, turn: float) -> int:
    calls = 1
    while (taken := run(calls)) < SHORTEST:
        calls *= 2
    return max(1, int(calls * turn / taken))


def repeat(once: Callable[[], object], clock: Callable[[], float] = SPENT) -> Run:
    """
    Make a run of a function without arguments.
    """

    def run(calls: int) -> float:
        turns = range(calls)
        with quiet():
            began = clock()
            for _ in turns:
                once()
            return clock() - began

    return run


class quiet:  # noqa: N801 - reads as a verb
    """
    Collect garbage before the block and not in it.
    """

    def __enter__(self) -> None:
        gc.collect(0)
        gc.disable()

    def __exit__(self, *_: object) -> None:
        gc.enable()


def ratio(times: Times, ours: str, theirs: str) -> Spread:
    """
    Compare two contenders round by round.
    """
    pairs = zip(times[ours], times[theirs], strict=True)
    return Spread.of([mine / other for mine, other in pairs])


def micros(times: Times, name: str) -> str:
    """
    Show a contender's median in microseconds.
    """
    return f"{statistics.median(times[name]) * 1e6:,.3f} µs"


def compare(times: Times, what: str, ours: str, theirs: str, bar: float | None) -> Line:
    """
    Make the line that holds one contender against another.
    """
    figure = f"{micros(times, ours)} / {micros(times, theirs)}"
    return Line(what, figure, theirs, ratio(times, ours, theirs), bar)

"""
Section `stampede`: how often a function runs for many callers of one cold key.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from functions import APART, apart_worker, main_worker
from measure import Effort, Line, Spread

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Callers at once of a cold key: how often the function ran"

COROUTINES = 500
THREADS = 64
ASYNC = ("ours", "cachebox", "cachebox_bare", "async_lru", "cashews", "aiocache")
SYNC = ("ours", "cachebox", "cachebox_bare", "lru_cache", "cachetools", "dogpile")


def measure(effort: Effort) -> Iterator[Line]:
    """
    Let a crowd loose on each contender.
    """
    with ExitStack() as stack:
        main = stack.enter_context(main_worker())
        for name in ASYNC:
            runs = main.ask(name, "stampede", COROUTINES)
            yield _line(f"{COROUTINES} coroutines", name, runs)
        if not effort.quick:
            for name, place in APART.items():
                apart = stack.enter_context(apart_worker(place))
                runs = apart.ask(name, "stampede", COROUTINES)
                yield _line(f"{COROUTINES} coroutines", name, runs)
        for name in SYNC:
            runs = main.ask(name, "stampede_threads", THREADS)
            yield _line(f"{THREADS} threads", name, runs)


def _line(what: str, name: str, runs: int) -> Line:
    bar = 1.0 if name == "ours" else None
    return Line(what, f"{runs} calls", name, Spread.of([float(runs)]), bar)

"""
Section `functions`: a hit of a decorated function of two arguments.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from environments import OURS, environment, surroundings
from measure import Effort, Line, Run, compare, contest
from worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "A hit of f(1, limit=10), in this process"

HERE = ("ours", "limits", "cachebox", "cachebox_bare")
ASYNC = (*HERE, "async_lru", "cashews", "aiocache")
SYNC = (*HERE, "lru_cache", "cachetools", "dogpile")
DICT = ("ours", "cachebox")
APART = {"fastapi_cache2": "fastapi-cache2", "namesake": "namesake"}
"""Contenders that live in environments of their own, and which."""

BARS = {
    ("async", "cachebox"): 0.35,
    ("async", "limits"): 2.0,
    ("sync", "cachebox"): 0.35,
    ("sync", "lru_cache"): 1.5,
    ("async_dict", "cachebox"): 1.2,
    ("sync_dict", "cachebox"): 1.2,
}
NAMES = {
    "async": "async hit",
    "sync": "sync hit",
    "async_dict": "async hit, small dict, isolated",
    "sync_dict": "sync hit, small dict, isolated",
}


def measure(effort: Effort) -> Iterator[Line]:
    """
    Hold our hits against those of the peers.
    """
    with ExitStack() as stack:
        main = stack.enter_context(main_worker())
        everyone: dict[str, dict[str, Run]] = {
            what: {name: main.run(name, what) for name in names}
            for what, names in {
                "async": ASYNC, "sync": SYNC, "async_dict": DICT, "sync_dict": DICT
            }.items()
        }  # fmt: skip
        if not effort.quick:
            for name, place in APART.items():
                apart = stack.enter_context(apart_worker(place))
                everyone["async"][name] = apart.run(name, "async")
        for what, contenders in everyone.items():
            times = contest(contenders, effort)
            for name in contenders:
                if name != "ours":
                    bar = BARS.get((what, name))
                    yield compare(times, NAMES[what], "ours", name, bar)


def main_worker() -> Worker:
    """
    Start the process in which ours and most peers live together.
    """
    return Worker(environment("main", *OURS), surroundings())


def apart_worker(place: str) -> Worker:
    """
    Start the process of a peer whose pins clash; ours is not on its path.
    """
    return Worker(environment(place), dict(os.environ, PYTHONPATH=""))

"""
Section `mixed`: short reads and commits of one row, through attached sessions.

Each side has a database of its own: what the other one writes would not be heard.
The uncached load runs in a process of its own, without yokedcache.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from environments import surroundings
from measure import Effort, Line, compare, contest, repeat
from mix import fill_notes, loader
from orm import postgresql, sqlite
from reads import clock_of
from schema import fill
from sqlalchemy.orm import sessionmaker
from worker import Worker

from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Run
    from sqlalchemy import Engine

TITLE = "Reads and writes mixed, through attached sessions"

SHARES = {0.5: 1.1, 0.1: None, 0.01: None}
"""The parts of the requests that write, and the bars of these loads."""


def measure(effort: Effort) -> Iterator[Line]:
    """
    Hold loads of several shares of writes against the same without a cache.
    """
    for database in (sqlite, postgresql):
        with ExitStack() as stack:
            ours, theirs = (stack.enter_context(database()) for _ in range(2))
            worker = Worker(Path(sys.executable), surroundings(), "mix")
            peers = stack.enter_context(worker)
            yield from _on(ours, theirs, peers, effort)


def _on(engine: Engine, other: Engine, peers: Worker, effort: Effort) -> Iterator[Line]:
    for each in (engine, other):
        fill(each)
        fill_notes(each)
    url = other.url.render_as_string(hide_password=False)
    for share, bar in SHARES.items():
        cache = YokedCache("memory://")
        maker = sessionmaker(engine)
        cache.attach(maker)
        runs: dict[str, Run] = {
            "ours": repeat(loader(share, maker), clock_of(url)),
            "uncached": peers.run("uncached", f"{share} @ {url}"),
        }
        times = contest(runs, effort)
        what = f"{engine.dialect.name}, {share:.0%} writes"
        yield compare(times, what, "ours", "uncached", bar)
        total = cache.stats().total
        figure = f"{total.hits} hits, {total.loads} loads, {total.bypasses}"
        yield Line(f"{what}: reads", figure)
        cache.sync.close()

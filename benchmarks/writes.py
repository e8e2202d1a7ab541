"""
Section `writes`: what tracking adds to writes, and to commits that wrote nothing.

The sessions aren't attached: any engine of a process is tracked once a cache
exists. The untracked ones run in a process of their own, without yokedcache.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from environments import surroundings
from flushes import FLUSHES, flusher
from measure import Effort, Line, Spread, compare, contest, repeat
from orm import postgresql, sqlite
from reads import clock_of
from schema import Base, User, fill
from sqlalchemy import select
from sqlalchemy.orm import sessionmaker
from worker import Worker

from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Run
    from sqlalchemy import Engine

TITLE = "What tracking adds to writes"

BARS = {
    ("postgresql", "flush of one row"): 1.15,
    ("postgresql", "flush of 1,000 rows"): 1.2,
}


def measure(effort: Effort) -> Iterator[Line]:
    """
    Hold tracked flushes against untracked ones, and look at read-only commits.
    """
    python = Path(sys.executable)
    for database in (sqlite, postgresql):
        with database() as engine, Worker(python, surroundings(), "flushes") as peers:
            yield from _on(engine, peers, effort)


def _on(engine: Engine, peers: Worker, effort: Effort) -> Iterator[Line]:
    fill(engine)
    url = engine.url.render_as_string(hide_password=False)
    cache = YokedCache("memory://")
    maker = sessionmaker(engine)
    database = engine.dialect.name
    for shape in FLUSHES:
        runs: dict[str, Run] = {
            "tracked": repeat(flusher(shape, maker), clock_of(url)),
            "untracked": peers.run("untracked", f"{shape} @ {url}"),
        }
        times = contest(runs, effort)
        bar = BARS.get((database, shape))
        yield compare(times, f"{database}, {shape}", "tracked", "untracked", bar)
    yield _read_only(cache, maker, database)
    cache.sync.close()
    Base.metadata.drop_all(engine)


def _read_only(cache: YokedCache, maker: sessionmaker, database: str) -> Line:
    """
    Count what a commit that wrote nothing tells the store.
    """
    tags = cache.machine.store.tags
    with maker() as session:
        session.scalars(select(User).limit(10)).all()
        before = tags.counter
        session.commit()
    bumps = float(tags.counter - before)
    what = f"{database}, read-only commit"
    return Line(what, f"{bumps:.0f} bumps", "", Spread(bumps, bumps, bumps), 0)

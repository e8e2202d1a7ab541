"""
Section `orm`: reads through attached sessions, on SQLite and on PostgreSQL.

Each measured read opens a session, executes, reads everything and closes. The
uncached reads and the recipe run in a process of their own, without yokedcache.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from environments import PROJECT, surroundings
from measure import Effort, Line, compare, contest, repeat
from reads import READS, check_served, clock_of, reader
from schema import Base, fill
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from worker import Worker

from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Run
    from sqlalchemy import Engine

TITLE = "Reads through a session, answered from memory"

BARS = {
    ("sqlite", "one by id"): 0.45,
    ("sqlite", "list of 50"): 0.35,
    ("sqlite", "joined list of 50"): 0.42,
    ("sqlite", "get"): 0.3,
    ("postgresql", "one by id"): 0.15,
    ("postgresql", "list of 50"): 0.3,
    ("postgresql", "joined list of 50"): 0.35,
}
BAR_OF_RECIPE = 0.7
"""For what is read through statements; `get` has the bar above."""


def measure(effort: Effort) -> Iterator[Line]:
    """
    Hold cached reads against uncached ones and against the recipe.
    """
    python = Path(sys.executable)
    for database in (sqlite, postgresql):
        with database() as engine, Worker(python, surroundings(), "reads") as peers:
            yield from _on(engine, peers, effort)


def _on(engine: Engine, peers: Worker, effort: Effort) -> Iterator[Line]:
    fill(engine)
    url = engine.url.render_as_string(hide_password=False)
    clock = clock_of(url)
    cache = YokedCache("memory://")
    attached, beside = sessionmaker(engine), sessionmaker(engine)
    cache.attach(attached)
    database = engine.dialect.name
    for shape in READS:
        ours = reader(shape, attached)
        check_served(engine, ours)
        runs: dict[str, Run] = {
            "ours": repeat(ours, clock),
            "tracked": repeat(reader(shape, beside), clock),
            "uncached": peers.run("uncached", f"{shape} @ {url}"),
            "recipe": peers.run("recipe", f"{shape} @ {url}"),
        }
        times = contest(runs, effort)
        what = f"{database}, {shape}"
        bar = None if shape == "get" else BAR_OF_RECIPE
        yield compare(times, what, "ours", "uncached", BARS.get((database, shape)))
        yield compare(times, what, "ours", "recipe", bar)
        yield compare(times, f"{what}: tracking", "tracked", "uncached", None)
    cache.sync.close()
    Base.metadata.drop_all(engine)


@contextlib.contextmanager
def sqlite() -> Iterator[Engine]:
    """
    Give an engine on a file of its own.
    """
    with tempfile.TemporaryDirectory(prefix="yokedcache-bench-") as place:
        engine = create_engine(f"sqlite:///{Path(place) / 'bench.db'}")
        yield engine
        engine.dispose()


@contextlib.contextmanager
def postgresql() -> Iterator[Engine]:
    """
    Give an engine on a server of its own.
    """
    # the servers of the tests, found or started as there
    sys.path.append(str(PROJECT))
    service = importlib.import_module("tests.services").Postgres()
    with service.running() as server:
        database = server.create_database()
        engine = create_engine(database.url("psycopg"))
        yield engine
        engine.dispose()
        server.drop_database(database)

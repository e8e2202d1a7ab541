"""
Section `orm`: reads through attached sessions, on SQLite and on PostgreSQL.

Each measured read opens a session, executes, reads everything and closes.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import recipe
from environments import PROJECT
from measure import Effort, Line, compare, contest, repeat
from schema import Base, User, fill
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session, joinedload, sessionmaker

from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE = "Reads through a session, answered from memory"

WARM = 50
"""How many different users are asked for, all of them cached."""

SHAPES = ("one by id", "list of 50", "joined list of 50", "get")
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

Maker = Any
Read = "Callable[[Maker], object]"


def measure(effort: Effort) -> Iterator[Line]:
    """
    Hold cached reads against uncached ones and against the recipe.
    """
    with _sqlite() as engine:
        yield from _on(engine, effort)
    with _postgresql() as engine:
        yield from _on(engine, effort)


def _on(engine: Engine, effort: Effort) -> Iterator[Line]:
    fill(engine)
    cache = YokedCache("memory://")
    makers = {name: sessionmaker(engine) for name in ("ours", "uncached", "recipe")}
    cache.attach(makers["ours"])
    recipe.attach(makers["recipe"])
    database = engine.dialect.name
    for shape in SHAPES:
        reads = {name: _read(shape, maker) for name, maker in makers.items()}
        for read in reads.values():
            for _ in range(2 * WARM):
                read()
        _check_served(engine, reads)
        times = contest({name: repeat(read) for name, read in reads.items()}, effort)
        what = f"{database}, {shape}"
        yield compare(times, what, "ours", "uncached", BARS.get((database, shape)))
        yield compare(times, what, "ours", "recipe", BAR_OF_RECIPE)
    cache.sync.close()
    Base.metadata.drop_all(engine)


def _check_served(engine: Engine, reads: dict[str, Callable[[], object]]) -> None:
    """
    See that who should be answered from memory is, and that all answer alike.
    """
    engine.dispose()
    answers = {name: repr(read()) for name, read in reads.items() if name != "uncached"}
    if engine.pool.checkedin():  # type: ignore[attr-defined]
        raise AssertionError(f"someone of {list(answers)} went to the database")


def _read(shape: str, maker: Maker) -> Callable[[], object]:
    numbers = itertools.cycle(range(1, WARM + 1))
    ask = {
        "one by id": _one, "list of 50": _list, "joined list of 50": _joined, "get": _get
    }[shape]  # fmt: skip

    def read() -> object:
        with maker() as session:
            return ask(session, next(numbers))

    return read


def _one(session: Session, number: int) -> object:
    return session.execute(select(User).where(User.id == number)).scalars().all()


def _list(session: Session, _: int) -> object:
    return session.execute(select(User).order_by(User.id).limit(50)).scalars().all()


def _joined(session: Session, _: int) -> object:
    statement = select(User).options(joinedload(User.addresses))
    limited = statement.order_by(User.id).limit(50)
    return session.execute(limited).unique().scalars().all()


def _get(session: Session, number: int) -> object:
    return session.get(User, number)


@contextlib.contextmanager
def _sqlite() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="yokedcache-bench-") as place:
        engine = create_engine(f"sqlite:///{Path(place) / 'bench.db'}")
        yield engine
        engine.dispose()


@contextlib.contextmanager
def _postgresql() -> Iterator[Engine]:
    sys.path.append(str(PROJECT))
    service = importlib.import_module("tests.services").Postgres()
    with service.running() as server:
        database = server.create_database()
        engine = create_engine(database.url("psycopg"))
        yield engine
        engine.dispose()
        server.drop_database(database)

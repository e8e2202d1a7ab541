"""
Section `levels`: the hit ratio at each isolation level, as writes come in.

A request is one session that reads five times; between its reads another session
commits one row now and then. A transaction that sees a snapshot is served what agrees
with it, and that is less the more is written. Nothing here depends on the machine's
speed: the cache's clock goes on by a millisecond a read.
"""

from __future__ import annotations

import contextlib
import importlib
import random
import sys
from typing import TYPE_CHECKING, NamedTuple

from environments import PROJECT
from measure import Effort, Line
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from yokedcache import YokedCache
from yokedcache.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

TITLE = "Hit ratio of 5 reads a session, at 0, 1 and 5 writes per 100 reads"

SHARES = (0.0, 0.01, 0.05)
READS = 5
SESSIONS, SESSIONS_QUICK = 300, 60
ROWS = 20


class Level(NamedTuple):
    """
    A database, and the level that its engine was told; `None`: its own.
    """

    what: str
    service: str
    driver: str
    level: str | None


LEVELS = (
    Level("PostgreSQL, READ COMMITTED (default)", "Postgres", "psycopg", None),
    Level("PostgreSQL, REPEATABLE READ", "Postgres", "psycopg", "REPEATABLE READ"),
    Level("MariaDB, READ COMMITTED", "MariaDB", "pymysql", "READ COMMITTED"),
    Level("MariaDB, default (RR, floating)", "MariaDB", "pymysql", None),
    Level("MariaDB, REPEATABLE READ, chosen", "MariaDB", "pymysql", "REPEATABLE READ"),
)


class Base(DeclarativeBase):
    pass


class One(Base):
    __tablename__ = "ones"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class Two(Base):
    __tablename__ = "twos"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class Three(Base):
    __tablename__ = "threes"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


TABLES = (One, Two, Three)


def measure(effort: Effort) -> Iterator[Line]:
    """
    Count hits at every level and share of writes.
    """
    sessions = SESSIONS_QUICK if effort.quick else SESSIONS
    # the servers of the tests, found or started as there
    sys.path.append(str(PROJECT))
    services = importlib.import_module("tests.services")
    for service in dict.fromkeys(level.service for level in LEVELS):
        with getattr(services, service)().running() as server:
            for level in (each for each in LEVELS if each.service == service):
                with _database(server, level) as engine:
                    ratios = [_hit_ratio(engine, each, sessions) for each in SHARES]
                figure = ", ".join(f"{ratio:.0%}" for ratio in ratios)
                yield Line(level.what, figure)


@contextlib.contextmanager
def _database(server: object, level: Level) -> Iterator[Engine]:
    made = server.create_database()  # type: ignore[attr-defined]
    options = {"isolation_level": level.level} if level.level else {}
    engine = create_engine(made.url(level.driver), **options)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        for table in TABLES:
            rows = [{"id": number, "number": 0} for number in range(1, ROWS + 1)]
            connection.execute(insert(table), rows)
    yield engine
    engine.dispose()
    server.drop_database(made)  # type: ignore[attr-defined]


def _hit_ratio(engine: Engine, share: float, sessions: int) -> float:
    """
    Run the load, and give the part of the reads that sent nothing.
    """
    clock = FakeClock()
    cache = YokedCache("memory://", clock=clock, jitter=0)
    attached, beside = sessionmaker(engine), sessionmaker(engine)
    cache.attach(attached)
    dice = random.Random(3)
    warm = _requests(attached, beside, dice, clock, sessions // 5, share)
    before = cache.stats().total.hits
    reads = _requests(attached, beside, dice, clock, sessions, share)
    hits = cache.stats().total.hits - before
    cache.detach(attached)
    cache.sync.close()
    assert warm
    return hits / reads


def _requests(  # noqa: PLR0917
    attached: sessionmaker[Session],
    beside: sessionmaker[Session],
    dice: random.Random,
    clock: FakeClock,
    sessions: int,
    share: float,
) -> int:
    reads = 0
    for _ in range(sessions):
        with attached() as session:
            for _ in range(READS):
                table = dice.choice(TABLES)
                one = select(table).where(table.id == 1 + dice.randrange(ROWS))
                session.scalars(one).one()
                clock.advance(0.001)
                reads += 1
                if dice.random() < share:
                    with beside.begin() as other:
                        written = dice.choice(TABLES)
                        changed = update(written).where(written.id == 1)
                        other.execute(changed.values(number=written.number + 1))
    return reads

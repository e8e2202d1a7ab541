"""
A commit of more than can be named, in another process.

A session here holds what it read before: what a function makes of that isn't kept.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from tests.services import MemcachedServer
from tests.services.processes import wait_until
from tests.support.memcached import url_of
from tests.support.models import Base, User
from yokedcache import YokedCache
from yokedcache.shared.tagging import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.postgres import PostgresDatabase
    from tests.services.redis import RedisServer

READER = """
import sys

from sqlalchemy import create_engine, select
from sqlalchemy.orm import sessionmaker

from tests.support.models import User
from yokedcache import YokedCache, cached

store, database, how = sys.argv[1:]
cache = YokedCache(store, lease=0.2, jitter=0.0, store_timeout=10.0)
engine = create_engine(database)
makers = {
    "warm": sessionmaker(engine),
    "snapshot": sessionmaker(engine.execution_options(isolation_level="REPEATABLE READ")),
}
maker = makers["warm"]


@cached(cache=cache, vary=None)
def name(session):
    return session.get_one(User, 1).name


def hits():
    counts = cache.stats().by_name.get("__main__.name")
    return counts.hits if counts else 0


while not hits():  # how its tags stand is known then
    with maker() as session:
        name(session)
with makers[how]() as session:
    if how == "warm":
        held = session.get_one(User, 1)
    else:
        session.scalars(select(User.id)).all()
    print("read", flush=True)
    sys.stdin.readline()
    print(name(session), flush=True)
with maker() as session:
    print(name(session), flush=True)
engine.dispose()
cache.sync.close()
"""


@pytest.fixture(params=["redis", "memcached"])
def store(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[str]:
    if request.param == "redis":
        yield redis_server.url()
        return
    with MemcachedServer.several(3) as servers:
        yield url_of(servers)


@pytest.fixture
def written_wide(postgres_database: PostgresDatabase) -> str:
    """
    Give a database of very many tables.
    """
    url = postgres_database.url("psycopg")
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(User(id=1, name="ann"))
        for number in range(MOST + 1):
            session.execute(text(f"CREATE TABLE part_{number} (x int)"))
    engine.dispose()
    return url


@pytest.mark.parametrize("how", ["warm", "snapshot"])
def test_what_was_read_before_a_wide_write_is_kept_by_nobody(
    written_wide: str, store: str, how: str
) -> None:
    cache = YokedCache(store, lease=0.2, jitter=0.0, store_timeout=10.0)
    wait_until(lambda: cache.sync.set("settled", 1))
    engine = create_engine(written_wide)
    sessions = cache.attach(sessionmaker(engine))
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, store, written_wide, how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert reader.stdout is not None
    assert reader.stdout.readline() == "read\n"
    with sessions.begin() as session:
        session.get_one(User, 1).name = "new"
        for number in range(MOST + 1):
            session.execute(text(f"UPDATE part_{number} SET x = 1"))
    told, _ = reader.communicate("\n")
    # what the session holds is its own affair
    assert told.split() == ["ann", "new"]
    engine.dispose()
    cache.sync.close()

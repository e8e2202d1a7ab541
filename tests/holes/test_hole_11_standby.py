"""
Hole 11: a standby of PostgreSQL calls itself by its primary's name, and may be behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import sessionmaker

from tests.services.postgres import Postgres, PostgresDatabase
from tests.services.processes import wait_until
from tests.support.models import Base, User
from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.postgres import PostgresServer

NAME = sa.select(User.name).where(User.id == 1)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """
    Give a primary and its standby.
    """
    with Postgres().with_standby() as servers:
        yield servers


@pytest.fixture
def engines(
    pair: tuple[PostgresServer, PostgresServer],
) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    """
    Give an engine to each, with a user whom both know.
    """
    primary, standby = pair
    database = primary.create_database()
    one, other = (
        sa.create_engine(PostgresDatabase(server, database.name).url("psycopg"))
        for server in pair
    )
    Base.metadata.create_all(one)
    with sessionmaker(one)() as session:
        session.add(User(id=1, name="old"))
        session.commit()
    wait_until(lambda: reads(standby, database.name) == "old")
    yield one, other
    other.dispose()
    one.dispose()
    primary.drop_database(database)


def reads(server: PostgresServer, database: str) -> Any:
    """
    Read the user's name, without a cache; `None` while it isn't there.
    """
    try:
        with server.connect(database) as connection:
            row = connection.execute("SELECT name FROM users").fetchone()
    except psycopg.Error:
        return None
    return row and row[0]


@pytest.mark.parametrize("way", ["session", "function"])
def test_hole_11_what_a_standby_says_is_not_kept(
    pair: tuple[PostgresServer, PostgresServer],
    engines: tuple[sa.Engine, sa.Engine],
    cache: YokedCache,
    way: str,
) -> None:
    (_, standby), (writing, reading) = pair, engines
    readers, writers = sessionmaker(reading), sessionmaker(writing)
    cache.attach(readers)
    cache.attach(writers)
    name = reading.url.database or ""

    @cached(cache=cache, vary=None)
    def by_function() -> Any:
        with readers() as session:
            return session.scalar(NAME)

    def read() -> Any:
        if way == "function":
            return by_function()
        with readers() as session:
            return session.scalar(NAME)

    assert [read(), read()] == ["old", "old"]
    with standby.connect() as control:
        control.execute("SELECT pg_wal_replay_pause()")
        with writers() as session:
            session.get_one(User, 1).name = "new"
            session.commit()
        assert [read(), read()] == ["old", "old"]  # as without a cache: it is behind
        control.execute("SELECT pg_wal_replay_resume()")
    wait_until(lambda: reads(standby, name) == "new")
    assert [read(), read()] == ["new", "new"]
    assert cache.stats().total.hits == 0
    with writers() as session:  # while the primary is cached as ever
        assert [session.scalar(NAME), session.scalar(NAME)] == ["new", "new"]
    with writers() as session:
        assert session.scalar(NAME) == "new"
    assert cache.stats().total.hits > 0


def test_hole_11_an_engine_whose_next_connection_leads_to_a_standby(
    engines: tuple[sa.Engine, sa.Engine], cache: YokedCache
) -> None:
    """
    As behind a name that leads to whichever server answers.
    """
    one, other = engines
    ports = [one.url.port, other.url.port]
    engine = sa.create_engine(one.url, poolclass=sa.NullPool)

    @sa.event.listens_for(engine, "do_connect")
    def _(_dialect: Any, _record: Any, _args: Any, told: dict[str, Any]) -> None:
        told["port"] = ports[0]

    sessions = sessionmaker(engine)
    cache.attach(sessions, vary=None)

    def read() -> Any:
        with sessions() as session:
            return session.scalar(NAME)

    assert [read(), read()] == ["old", "old"]
    before = cache.stats().total
    assert before.hits == 1
    ports.reverse()
    with engine.connect() as connection:  # a new one
        connection.scalar(sa.text("SELECT 1"))
    assert [read(), read()] == ["old", "old"]
    assert cache.stats().total.hits == before.hits
    engine.dispose()

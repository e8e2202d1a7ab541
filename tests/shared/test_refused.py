"""
A commit that is refused is rolled back, however its caller goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.ext.asyncio.session import AsyncSession
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import free_port, wait_until
from tests.services.proxy import Proxy
from tests.support.models import Base, User
from yokedcache import YokedCache
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services import PostgresDatabase
    from tests.services.redis import RedisServer

LOST = update(User).where(User.id == 1).values(name="lost")
NAME = select(User.name).where(User.id == 1)
# whoever comes next is given the same connection
ONE: Any = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 5}


@pytest.fixture
def database(postgres_database: PostgresDatabase) -> Iterator[str]:
    """
    Give a database with a user, and a cache whose store is gone: no commit is made.
    """
    url = postgres_database.url("psycopg")
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(User).values(id=1, name="old"))
    engine.dispose()
    store = f"redis://127.0.0.1:{free_port()}/0"
    cache = YokedCache(store, on_unreachable="refuse", announce_timeout=0.5)
    yield url
    cache.sync.close()


def commit_session(engine: Any) -> None:
    with Session(engine) as session:
        session.execute(LOST)
        session.commit()


def commit_session_block(engine: Any) -> None:
    with Session(engine) as session, session.begin():
        session.execute(LOST)


def commit_connection(engine: Any) -> None:
    with engine.connect() as connection:
        connection.execute(LOST)
        connection.commit()


def commit_connection_block(engine: Any) -> None:
    with engine.begin() as connection:
        connection.execute(LOST)


def prepare_session(engine: Any) -> None:
    with Session(engine, twophase=True) as session:
        session.execute(LOST)
        session.prepare()


@pytest.mark.parametrize(
    "commit",
    [
        commit_session,
        commit_session_block,
        commit_connection,
        commit_connection_block,
        prepare_session,
    ],
)
def test_hole_22_refused_commit_is_rolled_back(database: str, commit: Any) -> None:
    engine, witness = create_engine(database, **ONE), create_engine(database)
    with pytest.raises(StoreError):
        commit(engine)
    with engine.connect() as next_one:
        assert next_one.scalar(NAME) == "old"
        next_one.commit()
    with witness.connect() as other:
        assert other.scalar(NAME) == "old"
        # no lock is left either
        other.execute(select(User).with_for_update(nowait=True))
    engine.dispose()
    witness.dispose()


async def test_hole_22_refused_commit_of_a_task_is_rolled_back(database: str) -> None:
    engine = create_async_engine(database, **ONE)
    async with AsyncSession(engine) as session:
        await session.execute(LOST)
        with pytest.raises(StoreError):
            await session.commit()
    async with engine.connect() as next_one:
        assert await next_one.scalar(NAME) == "old"
    await engine.dispose()


def test_session_goes_on_after_a_refused_commit(database: str) -> None:
    engine = create_engine(database, **ONE)
    with Session(engine) as session:
        session.execute(LOST)
        with pytest.raises(StoreError):
            session.commit()
        session.rollback()
        assert session.scalar(NAME) == "old"
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_hole_22_what_was_prepared_is_committed_whatever_becomes_of_the_store(
    postgres_database: PostgresDatabase, redis_server: RedisServer, driver: str
) -> None:
    engine = create_engine(postgres_database.url(driver))
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(User).values(id=1, name="old"))
    with Proxy((redis_server.host, redis_server.port)) as proxy:
        given: Any = {"lease": 0.5, "store_timeout": 5.0, "jitter": 0.0}
        url = redis_server.url(port=proxy.port)
        cache = YokedCache(url, on_unreachable="refuse", announce_timeout=0.5, **given)
        reader = YokedCache(redis_server.url(), **given)
        attached = reader.attach(sessionmaker(engine))

        def name() -> str | None:
            with attached() as session:
                return session.scalar(NAME)

        wait_until(lambda: [name(), name()] and reader.stats().total.hits > 0)
        with Session(engine, twophase=True) as session:
            session.execute(LOST)
            session.prepare()
            proxy.refuse()
            proxy.cut()
            # another database may have committed its part by now
            session.commit()
        assert cache.stats().owed == 1
        # the fence of what was prepared keeps others from serving what was before it
        assert name() == "lost"
        proxy.restore()
        wait_until(lambda: cache.stats().owed == 0)
        wait_until(lambda: [name(), name()] == ["lost"] * 2)
        cache.sync.close()
        reader.sync.close()
    engine.dispose()


def test_what_was_prepared_and_rolled_back_holds_nothing_up(
    postgres_database: PostgresDatabase, redis_server: RedisServer
) -> None:
    engine = create_engine(postgres_database.url("psycopg"))
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(User).values(id=1, name="old"))
    given: Any = {"lease": 0.5, "store_timeout": 5.0, "jitter": 0.0}
    cache = YokedCache(redis_server.url(), **given)
    attached = cache.attach(sessionmaker(engine))

    def served() -> bool:
        hits = cache.stats().total.hits
        for _ in range(2):
            with attached() as session:
                assert session.scalar(NAME) == "old"
        return cache.stats().total.hits > hits

    wait_until(served)
    with Session(engine, twophase=True) as session:
        session.execute(LOST)
        session.prepare()
        assert not served()
        session.rollback()
    wait_until(served)
    cache.sync.close()
    engine.dispose()

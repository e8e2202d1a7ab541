"""
A commit that is refused is rolled back, however its caller goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.ext.asyncio.session import AsyncSession
from sqlalchemy.orm import Session

from tests.services.processes import free_port
from tests.support.models import Base, User
from yokedcache import YokedCache
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services import PostgresDatabase

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
def test_refused_commit_is_rolled_back(database: str, commit: Any) -> None:
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


async def test_refused_commit_of_a_task_is_rolled_back(database: str) -> None:
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

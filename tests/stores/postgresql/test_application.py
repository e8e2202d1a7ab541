"""
An application whose data and whose cache are in one database.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.support.models import Base, User
from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from tests.services import PostgresDatabase


def test_commits_are_seen_by_functions_and_statements(
    postgres_database: PostgresDatabase,
) -> None:
    url = postgres_database.url()
    settings = {"jitter": 0.0, "lease": 0.3, "store_timeout": 10.0}
    one, other = (YokedCache(url, **settings) for _ in range(2))
    engine = create_engine(postgres_database.url("psycopg"))
    Base.metadata.create_all(engine)
    sessions: sessionmaker[Session] = one.attach(sessionmaker(engine))
    calls = []

    @cached(cache=other, vary=None)
    def names() -> list[str]:
        calls.append(1)
        with Session(engine) as session:
            return list(session.scalars(select(User.name).order_by(User.id)))

    def stored() -> bool:
        before = len(calls)
        return names() == names() and len(calls) == before

    for number in range(1, 4):
        with Session(engine) as session:
            session.add(User(id=number, name=f"n{number}"))
            session.commit()
        wanted = [f"n{known}" for known in range(1, number + 1)]
        assert names() == wanted
        with sessions() as session:
            assert list(session.scalars(select(User.name).order_by(User.id))) == wanted
        wait_until(stored)
    with Session(engine) as session:
        session.add(User(id=9, name="undone"))
        session.flush()
        session.rollback()
    assert "undone" not in names()
    assert one.stats().store_failures == other.stats().store_failures == 0
    assert one.stats().owed == other.stats().owed == 0
    asyncio.run(_asynchronously(postgres_database, one))
    assert names() == ["n1", "n2", "n3", "later"]
    for cache in (one, other):
        cache.sync.close()
    engine.dispose()


async def _asynchronously(database: PostgresDatabase, cache: YokedCache) -> None:
    engine = create_async_engine(database.url("asyncpg"))
    sessions = cache.attach(async_sessionmaker(engine))
    query = select(User.name).order_by(User.id)
    async with sessions() as session:
        before = list(await session.scalars(query))
        session.add(User(id=4, name="later"))
        await session.commit()
        assert list(await session.scalars(query)) == [*before, "later"]
    await engine.dispose()
    await cache.close()

"""
The seam on PostgreSQL: its values, its aborted transactions, through three drivers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.sqlalchemy.people import BY_ID, Base, User, fill, users, warmed
from yokedcache import cached
from yokedcache.sqlalchemy.install import install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from tests.services.postgres import PostgresDatabase
    from tests.sqlalchemy.remembering import Remembering
    from yokedcache import YokedCache


@pytest.fixture
def postgres_engine(
    postgres_database: PostgresDatabase, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    engine = create_engine(postgres_database.url(request.param))
    fill(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("postgres_engine", ["psycopg", "psycopg2"], indirect=True)
def test_postgresql_is_answered_in_its_own_values(
    postgres_engine: Engine, answerer: Remembering
) -> None:
    maker = sessionmaker(postgres_engine)
    install(maker, answerer)
    values = text(
        "SELECT ARRAY[1, 2] AS a, '{\"x\": [1]}'::jsonb AS b, 1.50::numeric AS c,"
        " date '2026-11-22' AS d, 'abc'::bytea AS e, md5('f')::uuid AS f,"
        " interval '1 day' AS g"
    )

    def found() -> Any:
        with maker() as session:
            row = session.execute(values).one()
            plain = [bytes(v) if isinstance(v, memoryview) else v for v in row]
            types = list(map(type, row))
            row.a.append(3)
            return plain[1:], types

    assert found() == found()
    assert answerer.count == {"miss": 1, "hit": 1}
    with maker() as session:
        assert users(session.scalars(select(User)))
    with maker() as session:
        assert users(session.scalars(select(User)))[0][:2] == (
            "ann",
            {"likes": ["ann"]},
        )
    assert answerer.abandoned == []


@pytest.mark.parametrize("postgres_engine", ["psycopg", "psycopg2"], indirect=True)
def test_an_aborted_transaction_refuses_what_is_kept(
    postgres_engine: Engine, answerer: Remembering
) -> None:
    maker = sessionmaker(postgres_engine)
    install(maker, answerer)
    warmed(maker)
    with maker() as session:
        with pytest.raises(DBAPIError):
            session.connection().exec_driver_sql("SELECT 1 / 0")
        with pytest.raises(DBAPIError, match="current transaction is aborted"):
            session.scalars(BY_ID).one()
        session.rollback()
        assert session.scalars(BY_ID).one().name == "ann"
    assert answerer.bypasses == ["transaction_failed"]


async def test_asyncpg_is_answered_and_refuses_when_aborted(
    postgres_database: PostgresDatabase, answerer: Remembering
) -> None:
    engine = create_async_engine(postgres_database.url("asyncpg"))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(insert(User).values(name="ann", about={"a": [1]}))
        maker = async_sessionmaker(engine)
        install(maker, answerer)
        for _ in range(2):
            async with maker() as session:
                user = (await session.scalars(BY_ID)).one()
                assert (user.name, user.about) == ("ann", {"a": [1]})
        assert answerer.count == {"miss": 1, "hit": 1}
        async with maker() as session:
            with pytest.raises(DBAPIError):
                await session.execute(text("SELECT 1 / 0"))
            with pytest.raises(DBAPIError, match="current transaction is aborted"):
                await session.scalars(BY_ID)
            await session.rollback()
            assert (await session.scalars(BY_ID)).one().name == "ann"
        assert answerer.bypasses == ["transaction_failed"]
    finally:
        await engine.dispose()


@pytest.mark.parametrize("by_hand", [False, True], ids=["session", "connection"])
@pytest.mark.parametrize("postgres_engine", ["psycopg", "psycopg2"], indirect=True)
def test_a_function_handed_an_aborted_transaction_is_not_answered(
    postgres_engine: Engine, cache: YokedCache, *, by_hand: bool
) -> None:
    maker = cache.attach(sessionmaker(postgres_engine))
    numbers = select(User.id).order_by(User.id)

    @cached(cache=cache)
    def found(handed: Any) -> list[int]:
        return [row[0] for row in handed.execute(numbers)]

    def asked(session: Session) -> list[int]:
        return found(session.connection() if by_hand else session)

    for _ in range(2):
        with maker() as session:
            before = asked(session)
    assert cache.stats().total.hits >= 1
    with maker() as session:
        with pytest.raises(DBAPIError):
            session.execute(text("SELECT 1 / 0"))
        with pytest.raises(DBAPIError, match="current transaction is aborted"):
            asked(session)
        session.rollback()
        assert asked(session) == before
    assert cache.stats().total.bypasses["transaction_failed"] >= 1


async def test_so_it_is_in_a_loop(
    postgres_database: PostgresDatabase, cache: YokedCache
) -> None:
    engine = create_async_engine(postgres_database.url("asyncpg"))
    maker = cache.attach(async_sessionmaker(engine))

    @cached(cache=cache)
    async def found(session: AsyncSession) -> list[int]:
        return list((await session.scalars(select(User.id))).all())

    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        for _ in range(2):
            async with maker() as session:
                assert await found(session) == []
        async with maker() as session:
            with pytest.raises(DBAPIError):
                await session.execute(text("SELECT 1 / 0"))
            with pytest.raises(DBAPIError, match="current transaction is aborted"):
                await found(session)
            await session.rollback()
            assert await found(session) == []
    finally:
        await engine.dispose()

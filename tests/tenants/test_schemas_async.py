"""
Hole 4 over async drivers: one schema a tenant, by `schema_translate_map`.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.util import greenlet_spawn

from tests.tenants.places import AsyncPlace, Secret, tenant
from tests.tenants.schemas import ORDER, QUERY, expected, options
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.services.postgres import PostgresDatabase
    from yokedcache import YokedCache

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("may_block")]


@pytest.fixture
async def engine(postgres_database: PostgresDatabase) -> AsyncIterator[AsyncEngine]:
    url = postgres_database.url("psycopg")
    made = AsyncPlace(url, create_engine(url))
    yield AsyncEngine(await greenlet_spawn(made.engine))
    for each in made.engines:
        await greenlet_spawn(each.dispose)


async def read(handed: Any) -> Any:
    if isinstance(handed, async_sessionmaker):
        async with handed() as session:
            return await session.scalar(QUERY)
    if isinstance(handed, AsyncEngine):
        async with handed.connect() as connection:
            return await connection.scalar(QUERY)
    if isinstance(handed, AsyncSession):
        found = await handed.get(Secret, 0)
        return found and found.content
    return await handed.scalar(QUERY)


async def handed(
    way: str, engine: AsyncEngine, name: str | None, stack: AsyncExitStack
) -> Any:
    """
    Make, for a tenant, what a function is handed.
    """
    theirs = engine.execution_options(**options(name))
    if way == "engine":
        return theirs
    if way == "maker":
        return async_sessionmaker(theirs)
    if way == "connection":
        return await stack.enter_async_context(theirs.connect())
    session = AsyncSession(engine if way == "begun" else theirs)
    await stack.enter_async_context(session)
    if way == "begun":
        await session.connection(execution_options=options(name))
    return session


@pytest.mark.parametrize("way", ["engine", "maker", "connection", "session", "begun"])
async def test_hole_04_each_schema_has_answers_of_its_own(
    engine: AsyncEngine, way: str, cache: YokedCache
) -> None:
    function = cached(cache=cache)(read)

    @cached(cache=cache)
    async def outer(_call: int, what: list[Any]) -> Any:
        return await function(*what)

    for name in ORDER:
        async with AsyncExitStack() as stack:
            means = await handed(way, engine, name, stack)
            assert await function(means) == expected(name)
            assert await outer(1, [means]) == expected(name)
    counts = cache.sync.stats().total
    if way not in {"connection", "begun"}:  # those may be bypassed: they are open
        assert counts.loads == 6
        assert not counts.bypasses
    assert not counts.refusals


@pytest.mark.parametrize("attached", [False, True])
async def test_hole_04_a_session_that_began_inside_is_not_kept(
    engine: AsyncEngine, cache: YokedCache, *, attached: bool
) -> None:
    async def ask() -> Any:
        sessions = async_sessionmaker(engine.execution_options(**options(tenant.get())))
        if attached:
            cache.attach(sessions)
        async with sessions() as session:
            return await session.scalar(QUERY)

    careless = cached(cache=cache)(ask)
    careful = cached(cache=cache, vary=tenant.get)(ask)
    for name in ("a", "b", "a", "b"):
        tenant.set(name)
        assert await careless() == await careful() == expected(name)
    assert cache.sync.stats().total.refusals["schema_translate_map"] == 4

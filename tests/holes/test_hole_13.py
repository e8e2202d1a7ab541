"""
Hole 13: own writes, in functions that aren't handed the session, across threads.

Annotations are not postponed here: FastAPI could not look up those of functions
inside functions.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from tests.support.databases import AsyncBlog, Blog
from tests.support.models import User
from yokedcache import YokedCache, cached, cached_dependency

NAME = select(User.name).where(User.id == 1)
pytestmark = pytest.mark.usefixtures("may_block")


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("way", ["attached", "plain"])
def test_hole_13_a_thread_pool_hands_the_session_on(
    blog: Blog, cache: YokedCache, way: str, flushed: bool
) -> None:
    """
    A dependency runs in one thread of a pool, the endpoint in another.
    """
    maker = blog.attached(cache) if way == "attached" else blog.sessions
    registry = scoped_session(maker, scopefunc=lambda: 1)

    @cached(cache=cache)
    def name() -> Any:
        return registry.scalar(NAME)

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert one.submit(name).result() == "ann"
        one.submit(registry.remove).result()

        def change() -> None:
            registry.get_one(User, 1).name = "own"
            if flushed:
                registry.flush()

        one.submit(change).result()
        assert other.submit(name).result() == "own"
        one.submit(registry.rollback).result()
        assert other.submit(name).result() == "ann"
        one.submit(registry.remove).result()


def app_of(blog: Blog, cache: YokedCache, after: list[Any]) -> FastAPI:
    """
    Make an app whose endpoints run in a pool of threads, as its dependencies do.
    """

    def get_session() -> Iterator[Session]:
        with blog.sessions() as session:
            yield session

    cached_session = cached_dependency(get_session, cache=cache)
    Db = Annotated[Session, Depends(cached_session)]  # noqa: N806 - a type

    @cached(cache=cache)
    def name() -> Any:
        with blog.sessions() as session:
            return session.scalar(NAME)

    app = FastAPI()

    @app.get("/name")
    def read(session: Db) -> list[Any]:
        return [session.scalar(NAME), name()]

    @app.put("/name/{to}")
    def write(to: str, session: Db, later: BackgroundTasks) -> list[Any]:
        session.get_one(User, 1).name = to
        session.flush()
        own = session.scalar(NAME)
        committed = name()
        session.commit()
        later.add_task(lambda: after.extend([name(), name()]))
        return [own, committed, session.scalar(NAME), name()]

    return app


@pytest.mark.anyio
async def test_hole_13_endpoints_and_what_runs_after_them(
    blog: Blog, cache: YokedCache
) -> None:
    after: list[Any] = []
    transport = ASGITransport(app_of(blog, cache, after))
    async with AsyncClient(transport=transport, base_url="http://app") as client:

        async def names() -> Any:
            return (await client.get("/name")).json()

        for _ in range(2):
            assert await names() == ["ann", "ann"]
        assert (await client.put("/name/bo")).json() == ["bo", "ann", "bo", "bo"]
        assert after == ["bo", "bo"]
        assert await names() == ["bo", "bo"]
        with blog.counted() as sent:
            assert await names() == ["bo", "bo"]
        assert not sent


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
async def test_hole_13_a_task_inside_a_transaction(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    """
    A child task sees what its parent's session wrote, if it uses that session.
    """
    async with async_blog.sessions() as session:

        @cached(cache=cache)
        async def name() -> Any:
            return await session.scalar(NAME)

        assert await name() == "ann"
        (await session.get_one(User, 1)).name = "own"
        await session.flush()
        assert await asyncio.create_task(name()) == "own"
        await session.rollback()
        assert await asyncio.create_task(name()) == "ann"

"""
Hole 6: what a cached function reads over a connection of the driver's, unseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tests.support.looking import RENAMING
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

SQL = "SELECT name FROM users WHERE id = 1"


def _read(raw: Any) -> str:
    cursor = raw.cursor()
    cursor.execute(SQL)
    found = str(cursor.fetchone()[0])
    cursor.close()
    return found


def raw(engine: Engine) -> str:
    connection = engine.raw_connection()
    try:
        return _read(connection)
    finally:
        connection.close()


def of_pool(engine: Engine) -> str:
    connection = engine.pool.connect()
    try:
        return _read(connection)
    finally:
        connection.close()


def of_connection(engine: Engine) -> str:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        return _read(connection.connection)


def of_driver(engine: Engine) -> str:
    with engine.connect() as connection:
        opened: Any = connection.connection
        return _read(opened.driver_connection)


def of_session(engine: Engine) -> str:
    with Session(engine) as session:
        return _read(session.connection().connection)


def of_result(engine: Engine) -> str:
    with engine.connect() as connection:
        cursor: Any = connection.execute(text("SELECT id FROM posts")).cursor
        cursor.fetchall()
        cursor.execute(SQL)
        return str(cursor.fetchone()[0])


WAYS = [raw, of_pool, of_connection, of_driver, of_session, of_result]


@pytest.mark.parametrize("way", WAYS)
def test_hole_06_what_is_read_raw_is_not_kept(
    blog: Blog, cache: YokedCache, way: Callable[[Any], str]
) -> None:
    @cached(cache=cache)
    def name() -> str:
        return way(blog.engine)

    assert [name(), name()] == ["ann", "ann"]
    with blog.engine.begin() as connection:
        connection.execute(RENAMING)
    assert name() == "new"
    refusals = cache.stats().total.refusals
    # MariaDB can't be asked what was left on a connection that was in one's hands
    assert refusals.pop("raw_connection") + refusals.get("context", 0) == 3


def test_hole_06_a_connection_taken_outside_of_a_call_inside(
    blog: Blog, cache: YokedCache
) -> None:
    opened: list[Any] = []

    @cached(cache=cache)
    def inner() -> str:
        return _read(opened[0])

    @cached(cache=cache)
    def outer() -> str:
        opened.insert(0, blog.engine.raw_connection())
        try:
            return inner()
        finally:
            opened[0].close()

    assert outer() == "ann"
    with blog.engine.begin() as connection:
        connection.execute(RENAMING)
    assert outer() == "new"


def test_hole_06_the_ordinary_ways_are_kept(blog: Blog, cache: YokedCache) -> None:
    engine = blog.engine
    engine.dispose()

    @cached(cache=cache)
    def name() -> str:
        with engine.connect() as connection:
            connection.execute(select(User.id)).all()
        with engine.begin() as connection:
            connection.exec_driver_sql(SQL).all()
        with engine.connect() as connection:
            found: Any = connection.execute(text("SELECT id FROM users"))
            assert found.cursor.description[0][0] == "id"
            assert hasattr(found, "cursor")
        with Session(engine) as session:
            session.connection()
            return session.get_one(User, 1).name

    assert [name(), name()] == ["ann", "ann"]
    assert cache.stats().total.hits == 1
    assert not cache.stats().total.refusals


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")
@pytest.mark.parametrize("way", ["engine", "connection"])
async def test_hole_06_what_is_read_raw_in_the_event_loop_is_not_kept(
    async_blog: AsyncBlog, cache: YokedCache, way: str
) -> None:
    @cached(cache=cache)
    async def taken() -> bool:
        if way == "engine":
            raw: Any = await async_blog.engine.raw_connection()
            found = raw.driver_connection is not None
            await _close(raw)
            return found
        async with async_blog.engine.connect() as connection:
            raw = await connection.get_raw_connection()
            return raw.driver_connection is not None

    assert [await taken(), await taken()] == [True, True]
    assert cache.stats().total.refusals == {"raw_connection": 2}


async def _close(raw: Any) -> None:
    from sqlalchemy.util import greenlet_spawn

    await greenlet_spawn(raw.close)


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")
async def test_hole_06_the_ordinary_ways_of_the_event_loop_are_kept(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    await async_blog.engine.dispose()

    @cached(cache=cache)
    async def name() -> str:
        async with async_blog.engine.connect() as connection:
            await connection.execute(select(User.id))
        async with async_blog.sessions() as session:
            return (await session.get_one(User, 1)).name

    assert [await name(), await name()] == ["ann", "ann"]
    assert cache.stats().total.hits == 1

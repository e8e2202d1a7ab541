"""
Writes that no statement of SQLAlchemy tells of, and what databases add to writes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from tests.support.databases import twin
from tests.support.looking import RENAMING_TEXT, name, name_async, rename_async
from tests.support.models import Post, User
from yokedcache import cached

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache


@pytest.mark.parametrize("way", ["pooled", "driver"])
def test_what_a_cursor_of_the_drivers_own_wrote_is_seen(
    blog: Blog, cache: YokedCache, way: str
) -> None:
    maker = blog.attached(cache)
    assert name(maker) == "ann"
    with blog.sessions() as session:
        pooled: Any = session.connection().connection
        owner = pooled if way == "pooled" else pooled.driver_connection
        for to in ("new", "newer"):
            session.connection()
            cursor = owner.cursor()
            cursor.execute(f"UPDATE users SET name = '{to}' WHERE id = 1")
            cursor.close()
            session.commit()
            assert name(maker) == to
            if session.get_bind().dialect.name != "sqlite":
                pooled = session.connection().connection
                owner = pooled if way == "pooled" else pooled.driver_connection
            else:
                break


def test_what_such_a_cursor_wrote_is_seen_by_nobody_else(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    with maker() as session:
        cursor = session.connection().connection.cursor()
        cursor.execute(RENAMING_TEXT)
        cursor.close()
        assert session.get_one(User, 1).name == "new"
        assert name(maker) == "ann"
        session.rollback()
    assert name(maker) == "ann"


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
async def test_what_an_async_drivers_own_connection_wrote_is_seen(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)
    assert await name_async(maker) == "ann"
    async with async_blog.engine.begin() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        sending = driver.cursor() if async_blog.engine.driver == "asyncmy" else driver
        await sending.execute(RENAMING_TEXT)
    assert await name_async(maker) == "new"


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")
@pytest.mark.parametrize("turns", [0, 3, 20])
async def test_a_commit_that_is_cancelled_leaves_nothing_stale(
    async_blog: AsyncBlog, cache: YokedCache, turns: int
) -> None:
    maker = async_blog.attached(cache)

    @cached(cache=cache)
    async def called() -> str:
        return await name_async(async_blog.sessions)

    for number in range(3):
        async with async_blog.sessions() as session:
            (await session.get_one(User, 1)).name = f"name {number}"
            await session.flush()
            commit = asyncio.ensure_future(session.commit())
            for _ in range(turns):
                await asyncio.sleep(0)
            commit.cancel()
            await asyncio.gather(commit, return_exceptions=True)
            for _ in range(2):
                await name_async(maker)
                await called()
        truth = await name_async(async_blog.sessions)
        assert await name_async(maker) == await called() == truth
    await rename_async(async_blog)
    assert await name_async(maker) == await called() == "new"


@pytest.mark.parametrize("same", [True, False])
def test_a_trigger_counts_whatever_engine_made_it(
    blog: Blog, cache: YokedCache, same: bool
) -> None:
    other = blog.engine if same else twin(blog.engine)
    maker = blog.attached(cache)
    retitle = update(Post).where(Post.id == 11)
    with blog.engine.begin() as connection:
        connection.execute(retitle.values(title="a"))
    with other.begin() as connection:
        _make_trigger(connection)
        # asked while the trigger isn't committed: what could be learnt is the old
        assert name(maker) == "ann"
    assert name(maker) == "ann"
    with blog.engine.begin() as connection:
        connection.execute(retitle.values(title="b"))
    assert name(maker) == "new"
    other.dispose()


def _make_trigger(connection: Any) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"CREATE TRIGGER t AFTER UPDATE ON posts BEGIN {RENAMING_TEXT}; END"
        )
        return
    if connection.dialect.name == "mariadb":
        connection.exec_driver_sql(
            f"CREATE TRIGGER t AFTER UPDATE ON posts FOR EACH ROW {RENAMING_TEXT}"
        )
        return
    connection.exec_driver_sql(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$BEGIN {RENAMING_TEXT}; RETURN NEW; END$$"
    )
    connection.exec_driver_sql(
        "CREATE TRIGGER t AFTER UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION f()"
    )

"""
Hole 38: a COMMIT that the server refused has an outcome, and keeps nothing uncached.

MariaDB judges each statement at once and refuses no COMMIT of these kinds: there a loop
that tries again does so after a statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker

from tests.support.looking import RENAMING, name, name_async
from tests.support.models import User

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

DEFERRED = (
    "CREATE TABLE strict (id int PRIMARY KEY REFERENCES users (id) "
    "DEFERRABLE INITIALLY DEFERRED)"
)
BREAKING = text("INSERT INTO strict VALUES (99)")
one_that_refuses = pytest.mark.parametrize(
    "blog", ["sqlite", "postgresql"], indirect=True
)


def make_strict(blog: Blog) -> None:
    if blog.engine.dialect.name == "sqlite":
        event.listen(blog.engine, "connect", _check_keys)
        blog.engine.dispose()
    with blog.engine.begin() as connection:
        connection.exec_driver_sql(DEFERRED)


def _check_keys(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


@one_that_refuses
def test_hole_38_a_session_whose_commit_was_refused(
    blog: Blog, cache: YokedCache
) -> None:
    make_strict(blog)
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with blog.sessions() as session:
        session.execute(RENAMING)
        session.execute(BREAKING)
        with pytest.raises(DBAPIError):
            session.commit()
        # it isn't closed yet, nor rolled back by hand
        assert [name(maker), name(maker)] == ["ann", "ann"]
        with blog.counted() as sent:
            assert name(maker) == "ann"
    assert sent == []


@one_that_refuses
def test_hole_38_a_connection_whose_commit_was_refused(
    blog: Blog, cache: YokedCache
) -> None:
    make_strict(blog)
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with blog.engine.connect() as connection:
        connection.execute(RENAMING)
        connection.execute(BREAKING)
        with pytest.raises(DBAPIError):
            connection.commit()
        assert name(maker) == "ann"
        connection.rollback()
        assert [name(maker), name(maker)] == ["ann", "ann"]
        with blog.counted() as sent:
            assert name(maker) == "ann"
    assert sent == []


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
def test_hole_38_a_loop_that_tries_again(blog: Blog, cache: YokedCache) -> None:
    """
    Two SERIALIZABLE transactions of which one can't be: it is tried until it can.
    """
    maker = blog.attached(cache)
    strict = sessionmaker(blog.engine.execution_options(isolation_level="SERIALIZABLE"))

    def longer(session: Session, number: int) -> None:
        everyone = session.scalars(select(User.name).order_by(User.id)).all()
        session.get_one(User, number).name += str(len("".join(everyone)))

    for _ in range(3):
        assert name(maker) == name(maker)
        with strict() as one, strict() as other:
            longer(one, 1)
            longer(other, 2)
            one.commit()
            with pytest.raises(DBAPIError):
                other.commit()
            other.rollback()
            longer(other, 2)
            other.commit()
        assert name(maker) == name(blog.sessions)
        with blog.counted() as sent:
            name(maker)
        assert sent == []


@pytest.mark.parametrize("blog", ["mariadb"], indirect=True)
def test_hole_38_a_loop_that_tries_again_after_a_statement(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    impatient = {"init_command": "SET innodb_lock_wait_timeout = 0"}
    engine = create_engine(
        blog.engine.url, isolation_level="SERIALIZABLE", connect_args=impatient
    )
    strict = sessionmaker(engine)
    for number in range(3):
        assert name(maker) == name(maker)
        with strict() as one, strict() as other:
            other.scalars(select(User.name)).all()  # which locks what it reads
            one.get_one(User, 1).name = f"new {number}"
            with pytest.raises(DBAPIError):
                one.commit()
            one.rollback()
            other.rollback()
            one.get_one(User, 1).name = f"new {number}"
            one.commit()
        assert name(maker) == name(maker) == f"new {number}"
        with blog.counted() as sent:
            name(maker)
        assert sent == []
    engine.dispose()


@pytest.mark.anyio
@pytest.mark.parametrize("async_blog", ["asyncpg", "psycopg"], indirect=True)
async def test_hole_38_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    async with async_blog.engine.begin() as connection:
        await connection.exec_driver_sql(DEFERRED)
    maker = async_blog.attached(cache)
    assert [await name_async(maker), await name_async(maker)] == ["ann", "ann"]
    async with async_blog.sessions() as session:
        await session.execute(RENAMING)
        await session.execute(BREAKING)
        with pytest.raises(DBAPIError):
            await session.commit()
        for _ in range(2):
            assert await name_async(maker) == "ann"
        with async_blog.counted() as sent:
            assert await name_async(maker) == "ann"
    assert sent == []

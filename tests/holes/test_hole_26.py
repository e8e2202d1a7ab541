"""
Hole 26: tags invalidated by hand inside a transaction that isn't committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

RENAMING = text("UPDATE users SET name = 'new' WHERE id = 1")
pytestmark = pytest.mark.filterwarnings("ignore:The garbage collector")


@pytest.fixture
def untracked(blog: Blog, cache: YokedCache) -> Callable[[], Any]:
    """
    Give a function whose reads go around SQLAlchemy: only its tag is known of it.
    """

    @cached(cache=cache, tags=["people"])
    def called() -> Any:
        if blog.engine.dialect.name == "sqlite":
            driver: Any = sqlite3.connect(str(blog.engine.url.database))
        elif blog.engine.dialect.name == "mariadb":
            import pymysql

            url = blog.engine.url
            driver = pymysql.connect(
                host=url.host, port=url.port, user=url.username, database=url.database
            )
        else:
            import psycopg

            url = blog.engine.url.set(drivername="postgresql")
            driver = psycopg.connect(url.render_as_string(hide_password=False))
        with contextlib.closing(driver):
            cursor = driver.cursor()
            cursor.execute("SELECT name FROM users WHERE id = 1")
            return cursor.fetchone()[0]

    return called


def test_hole_26_of_too_many_tags_it_is_known_that_there_were_some(
    blog: Blog, cache: YokedCache, untracked: Callable[[], Any]
) -> None:
    with blog.engine.connect() as connection:
        cache.sync.invalidate_tags(["people"])
        for number in range(1_001):
            cache.sync.invalidate_tags([f"tag {number}"])
        connection.execute(RENAMING)
        assert untracked() == "ann"
        connection.commit()
    assert untracked() == "new"


@contextlib.contextmanager
def pending(blog: Blog) -> Iterator[None]:
    with blog.sessions() as session:
        session.get_one(User, 1).name = "new"
        yield
        session.commit()


@contextlib.contextmanager
def flushed(blog: Blog) -> Iterator[None]:
    with blog.sessions() as session:
        session.get_one(User, 1).name = "new"
        session.flush()
        yield
        session.commit()


@contextlib.contextmanager
def not_written_yet(blog: Blog) -> Iterator[None]:
    with blog.sessions() as session:
        user = session.get_one(User, 1)
        yield
        user.name = "new"
        session.commit()


@contextlib.contextmanager
def in_a_savepoint(blog: Blog) -> Iterator[None]:
    with blog.sessions() as session:
        with session.begin_nested():
            session.execute(RENAMING)
            yield
        session.commit()


@contextlib.contextmanager
def core(blog: Blog) -> Iterator[None]:
    with blog.engine.begin() as connection:
        connection.execute(RENAMING)
        yield


@pytest.mark.parametrize(
    "transaction", [pending, flushed, not_written_yet, in_a_savepoint, core]
)
def test_hole_26_refilled_before_the_commit(
    blog: Blog,
    cache: YokedCache,
    untracked: Any,
    transaction: Callable[[Blog], contextlib.AbstractContextManager[None]],
) -> None:
    assert untracked() == "ann"
    peek = untracked.peek
    with transaction(blog):
        cache.sync.invalidate_tags("people")
        with ThreadPoolExecutor(1) as elsewhere:
            assert elsewhere.submit(untracked).result() == "ann"
            assert elsewhere.submit(peek).result() == "ann"
    assert untracked() == "new"


def test_a_transaction_that_has_ended_does_so_no_more(
    blog: Blog, cache: YokedCache, untracked: Any
) -> None:
    with blog.sessions() as session:
        session.execute(RENAMING)
        cache.sync.invalidate_tags("people")
        session.rollback()
        assert untracked() == "ann"
        session.execute(RENAMING)
        session.commit()
        assert untracked.peek() == "ann"


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
async def test_hole_26_in_an_async_session(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    @cached(cache=cache, tags=["people"])
    async def called() -> str:
        return "whatever"

    await called()
    async with async_blog.sessions() as session:
        (await session.get_one(User, 1)).name = "new"
        await cache.invalidate_tags("people")
        refill = asyncio.create_task(called(), context=contextvars.Context())
        await refill
        assert contextvars.Context().run(called.peek) == "whatever"
        await session.commit()
    assert not called.peek()

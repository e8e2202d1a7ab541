"""
Hole 6: commits in two phases on PostgreSQL; `test_hole_06_mariadb` has MariaDB's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import Session

from tests.holes.asking import Asker, AsyncAsker
from tests.support.databases import async_blog_at, blog_at
from tests.support.looking import RENAMING, RENAMING_TEXT
from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.postgres import PostgresDatabase
    from tests.support.databases import Blog
    from yokedcache import YokedCache


@pytest.fixture
def blog(postgres_database: PostgresDatabase) -> Iterator[Blog]:
    with blog_at(postgres_database.url("psycopg")) as made:
        yield made


@pytest.fixture
def ask(blog: Blog, cache: YokedCache) -> Asker:
    return Asker(blog, cache)


@pytest.mark.parametrize("prepares", [True, False])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_hole_06_two_phases(blog: Blog, ask: Asker, prepares: bool, ends: str) -> None:
    with blog.engine.connect() as connection:
        transaction = connection.begin_twophase()
        connection.execute(RENAMING)
        if prepares:
            transaction.prepare()
        assert ask() == {"ann"}
        getattr(transaction, ends)()
        seen = {"new" if ends == "commit" else "ann"}
        assert ask.served() == seen
    assert ask.served() == seen


def test_hole_06_prepared_in_one_connection_and_committed_in_another(
    blog: Blog, ask: Asker
) -> None:
    with blog.engine.connect() as connection:
        prepared = connection.begin_twophase("first")
        connection.execute(RENAMING)
        prepared.prepare()
        connection.invalidate()
    assert ask() == {"ann"}
    with blog.engine.connect() as connection:
        assert connection.recover_twophase() == ["first"]
        connection.commit_prepared("first", recover=True)
        assert ask() == {"new"}
    assert ask.served() == {"new"}


@pytest.mark.parametrize("autocommit", [True, False])
def test_hole_06_two_phases_by_text(blog: Blog, ask: Asker, autocommit: bool) -> None:
    options: Any = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
    engine = blog.engine.execution_options(**options)
    automatic = blog.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, automatic.connect() as other:
        if autocommit:
            connection.exec_driver_sql("BEGIN")
        connection.execute(RENAMING)
        connection.execute(text("PREPARE TRANSACTION 'x'"))
        assert ask() == {"ann"}
        other.execute(text("COMMIT PREPARED 'x'"))
        assert ask() == {"new"}
        connection.rollback()
    assert ask.served() == {"new"}


def test_hole_06_a_session_commits_two_databases_in_two_phases(
    blog: Blog,
    ask: Asker,
    cache: YokedCache,
    make_postgres_database: Callable[[], PostgresDatabase],
) -> None:
    with blog_at(make_postgres_database().url("psycopg")) as other:
        titles = other.attached(cache)

        def title() -> str:
            with titles() as session:
                return session.get_one(Post, 11).title

        assert [title(), title()] == ["ann's 1"] * 2
        binds: Any = {User: blog.engine, Post: other.engine}
        for ends in ("rollback", "commit"):
            with Session(binds=binds, twophase=True) as session:
                session.get_one(User, 1).name = "new"
                session.get_one(Post, 11).title = "new"
                session.flush()
                if ends == "commit":
                    session.prepare()
                assert ask() == {"ann"}
                assert title() == "ann's 1"
                getattr(session, ends)()
                seen = "new" if ends == "commit" else "ann"
                assert ask() == {seen}
                assert title() == ("new" if ends == "commit" else "ann's 1")
        assert ask.served() == {"new"}


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_hole_06_async_sessions_in_two_phases(
    postgres_database: PostgresDatabase, cache: YokedCache, driver: str
) -> None:
    async with async_blog_at(postgres_database.url(driver)) as blog:
        ask = AsyncAsker(blog, cache)
        assert await ask.served() == {"ann"}
        maker = async_sessionmaker(blog.engine, twophase=True)
        for ends in ("rollback", "commit"):
            async with maker() as session:
                await session.execute(text(RENAMING_TEXT))
                if ends == "commit":
                    await session.run_sync(Session.prepare)
                assert await ask() == {"ann"}
                await getattr(session, ends)()
                seen = {"new" if ends == "commit" else "ann"}
                assert await ask() == seen
        assert await ask.served() == {"new"}

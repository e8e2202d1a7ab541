"""
Hole 30: commits of several engines at once, and in two phases.

What survives a restart of the app is for a shared store: here a transaction that was
prepared is committed by another connection of the same process. MariaDB refuses no
COMMIT of its own accord: there the commits of two engines simply both go through.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, sessionmaker

from tests.support.databases import STATEMENT_LEVEL, Blog, async_blog_at, blog_at
from tests.support.looking import RENAMING, RENAMING_TEXT, name, name_async
from tests.support.models import Post, User
from yokedcache.sqlalchemy.statements.sql_functions import family

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from yokedcache import YokedCache

TITLE = select(Post.title).where(Post.id == 11)
SERVERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "postgresql": ("make_postgres_database", "psycopg", {}),
    "mariadb": ("make_mariadb_database", "pymysql", STATEMENT_LEVEL),
}
DEFERRED = (
    "CREATE TABLE strict (id int PRIMARY KEY REFERENCES users (id) "
    "DEFERRABLE INITIALLY DEFERRED)"
)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Blog, Blog]]:
    """
    Give two blogs that judge some foreign keys only when they commit, if they can.
    """
    with ExitStack() as stack:
        blogs = []
        for number in (1, 2):
            if request.param == "sqlite":
                blog = stack.enter_context(
                    blog_at(f"sqlite:///{tmp_path / str(number)}.db")
                )
                event.listen(blog.engine, "connect", _check_keys)
                blog.engine.dispose()
            else:
                blog = stack.enter_context(_blog(request, request.param))
            if request.param != "mariadb":
                with blog.engine.begin() as connection:
                    connection.exec_driver_sql(DEFERRED)
            blogs.append(blog)
        yield blogs[0], blogs[1]


def _blog(request: pytest.FixtureRequest, server: str) -> Any:
    fixture, driver, options = SERVERS[server]
    return blog_at(request.getfixturevalue(fixture)().url(driver), **options)


def _check_keys(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


def title(maker: Any) -> Any:
    with maker() as session:
        return session.scalar(TITLE)


def test_hole_30_a_session_of_two_engines_announces_to_both(
    pair: tuple[Blog, Blog], cache: YokedCache
) -> None:
    users, posts = (blog.attached(cache) for blog in pair)
    assert [name(users), title(posts)] * 2 == ["ann", "ann's 1"] * 2
    binds = {User: pair[0].engine, Post: pair[1].engine}
    with Session(binds=binds) as session:
        session.get_one(User, 1).name = "new"
        session.get_one(Post, 11).title = "newer"
        session.flush()
        assert (name(users), title(posts)) == ("ann", "ann's 1")
        session.commit()
    assert (name(users), title(posts)) == ("new", "newer")


@pytest.mark.parametrize("pair", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.filterwarnings("ignore:transaction already deassociated")
@pytest.mark.parametrize("fails", [0, 1])
def test_hole_30_one_of_two_commits_is_refused(
    pair: tuple[Blog, Blog], cache: YokedCache, fails: int
) -> None:
    """
    Which of them comes first isn't said: each is announced, or undone, by itself.
    """
    users, posts = (blog.attached(cache) for blog in pair)
    assert [name(users), title(posts)] * 2 == ["ann", "ann's 1"] * 2
    binds = {User: pair[0].engine, Post: pair[1].engine}
    with Session(binds=binds) as session:
        session.execute(RENAMING)
        session.execute(update(Post).where(Post.id == 11).values(title="newer"))
        session.execute(
            text("INSERT INTO strict VALUES (99)"),
            bind_arguments={"mapper": (User, Post)[fails]},
        )
        with pytest.raises(DBAPIError):
            session.commit()
        session.rollback()
        assert (name(users), title(posts)) == (
            name(pair[0].sessions),
            title(pair[1].sessions),
        )
    with pair[0].counted() as one, pair[1].counted() as other:
        name(users), title(posts)
    assert (one, other) == ([], [])


@pytest.fixture(params=["postgresql", "mariadb"])
def prepared(request: pytest.FixtureRequest) -> Iterator[Blog]:
    with _blog(request, request.param) as blog:
        yield blog


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_hole_30_a_session_in_two_phases(
    request: pytest.FixtureRequest, cache: YokedCache, end: str, server: str
) -> None:
    with ExitStack() as stack:
        one, other = (stack.enter_context(_blog(request, server)) for _ in range(2))
        users, posts = one.attached(cache), other.attached(cache)
        assert [name(users), title(posts)] * 2 == ["ann", "ann's 1"] * 2
        binds = {User: one.engine, Post: other.engine}
        with Session(binds=binds, twophase=True) as session:
            session.get_one(User, 1).name = "new"
            session.get_one(Post, 11).title = "newer"
            session.flush()
            session.prepare()
            for _ in range(2):
                assert (name(users), title(posts)) == ("ann", "ann's 1")
            getattr(session, end)()
        done = end == "commit"
        for _ in range(2):
            assert name(users) == ("new" if done else "ann")
            assert title(posts) == ("newer" if done else "ann's 1")


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "asyncmy"])
@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_hole_30_an_async_session_of_two_engines(
    request: pytest.FixtureRequest, cache: YokedCache, end: str, driver: str
) -> None:
    server = "mariadb" if driver == "asyncmy" else "postgresql"
    make, _, options = SERVERS[server]
    async with AsyncExitStack() as stack:
        urls = [request.getfixturevalue(make)().url(driver) for _ in range(2)]
        one, other = [
            await stack.enter_async_context(async_blog_at(url, **options))
            for url in urls
        ]
        users, posts = one.attached(cache), other.attached(cache)

        async def asked() -> tuple[str, str | None]:
            async with posts() as session:
                return await name_async(users), await session.scalar(TITLE)

        assert [await asked() for _ in range(2)] == [("ann", "ann's 1")] * 2
        binds: Any = {User: one.engine, Post: other.engine}
        async with AsyncSession(binds=binds, twophase=driver != "asyncpg") as session:
            (await session.get_one(User, 1)).name = "new"
            (await session.get_one(Post, 11)).title = "newer"
            await session.flush()
            assert await asked() == ("ann", "ann's 1")
            await getattr(session, end)()
        done = ("new", "newer") if end == "commit" else ("ann", "ann's 1")
        assert [await asked() for _ in range(2)] == [done] * 2


ENDS = {
    "postgresql": {
        "prepare": ("{}", "PREPARE TRANSACTION 'later'"),
        "commit": ("COMMIT PREPARED 'later'",),
        "rollback": ("ROLLBACK PREPARED 'later'",),
    },
    "mysql": {
        "prepare": ("XA START 'later'", "{}", "XA END 'later'", "XA PREPARE 'later'"),
        "commit": ("XA COMMIT 'later'",),
        "rollback": ("XA ROLLBACK 'later'",),
    },
}


@pytest.mark.parametrize("end", ["commit", "rollback"])
@pytest.mark.parametrize("prepares", ["call", "text"])
def test_hole_30_prepared_here_and_ended_elsewhere_by_text(
    prepared: Blog, cache: YokedCache, end: str, prepares: str
) -> None:
    maker = prepared.attached(cache)
    ways = ENDS[family(prepared.engine.dialect.name)]
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with prepared.engine.connect() as connection:
        if prepares == "call":
            transaction = connection.begin_twophase("later")
            connection.exec_driver_sql(RENAMING_TEXT)
            transaction.prepare()
            connection.invalidate()
        else:
            for statement in ways["prepare"]:
                connection.exec_driver_sql(statement.format(RENAMING_TEXT))
            # MariaDB keeps the connection to it until it is closed
            connection.rollback() if "XA" not in statement else connection.invalidate()
    assert [name(maker), name(maker)] == ["ann", "ann"]
    engine = create_engine(prepared.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in ways[end]:
            connection.exec_driver_sql(statement)
    engine.dispose()
    seen = "new" if end == "commit" else "ann"
    assert [name(maker), name(maker)] == [seen, seen]
    with prepared.counted() as sent:
        name(maker)
    assert sent == []


def test_hole_30_a_prepared_transaction_whose_connection_is_used_again(
    prepared: Blog, cache: YokedCache
) -> None:
    maker = prepared.attached(cache)
    writer = sessionmaker(prepared.engine, twophase=True)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    for number in range(3):
        with writer() as session:
            session.get_one(User, 1).name = f"new {number}"
            session.commit()
        assert [name(maker), name(maker)] == [f"new {number}"] * 2

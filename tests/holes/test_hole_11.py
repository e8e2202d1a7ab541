"""
Hole 11: who a database is, by whatever way it is reached, and whether it still is.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.support.databases import Blog, blog_at
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.postgres import PostgresDatabase, PostgresServer
    from yokedcache import YokedCache

NAME = select(User.name).where(User.id == 1)


def asked(maker: Any) -> Any:
    with maker() as session:
        return session.scalars(NAME).one()


def rename(engine: Engine, to: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE users SET name = :to WHERE id = 1"), {"to": to})


def test_hole_11_drivers_and_addresses_of_one_server(
    postgres_database: PostgresDatabase, cache: YokedCache
) -> None:
    with blog_at(postgres_database.url("psycopg")) as blog:
        engines = [
            create_engine(postgres_database.url("psycopg2")),
            create_engine(blog.engine.url.set(host="localhost")),
            create_engine(blog.engine.url.update_query_dict({"application_name": "x"})),
            blog.engine,
        ]
        makers = [cache.attach(sessionmaker(engine)) for engine in engines]
        for number, writer in enumerate(engines):
            for maker in makers * 2:
                assert asked(maker) == ("ann" if not number else f"name {number - 1}")
            rename(writer, f"name {number}")
        for engine in engines:
            engine.dispose()


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
async def test_hole_11_a_blocking_and_an_async_driver(
    postgres_database: PostgresDatabase, cache: YokedCache
) -> None:
    engine = create_async_engine(postgres_database.url("asyncpg"))
    with blog_at(postgres_database.url("psycopg")) as blog:
        maker = blog.attached(cache)
        async_maker = cache.attach(async_sessionmaker(engine))

        async def asked_async() -> Any:
            async with async_maker() as session:
                return (await session.scalars(NAME)).one()

        for _ in range(2):
            assert [asked(maker), await asked_async()] == ["ann", "ann"]
        rename(blog.engine, "new")
        for _ in range(2):
            assert [asked(maker), await asked_async()] == ["new", "new"]
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE users SET name = 'newer'"))
        assert [asked(maker), await asked_async()] == ["newer", "newer"]
    await engine.dispose()


def test_hole_11_a_relative_path_is_a_database_of_its_directory(
    tmp_path: Path, cache: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with blog_at("sqlite:///./blog.db") as blog:
            rename(blog.engine, name)
            maker = blog.attached(cache)
            found += [asked(maker), asked(maker)]
    assert found == ["one", "one", "other", "other"]


def test_hole_11_two_paths_to_one_file(tmp_path: Path, cache: YokedCache) -> None:
    file = tmp_path / "blog.db"
    with blog_at(f"sqlite:///{file}") as blog:
        link = tmp_path / "link.db"
        link.symlink_to(file)
        other = create_engine(f"sqlite:///{link}")
        makers = [blog.attached(cache), cache.attach(sessionmaker(other))]
        assert [asked(maker) for maker in makers * 2] == ["ann"] * 4
        rename(other, "new")
        assert [asked(maker) for maker in makers * 2] == ["new"] * 4
        other.dispose()


@pytest.mark.parametrize("fresh", [True, False], ids=["new engine", "same engine"])
def test_hole_11_a_file_that_is_made_anew(
    tmp_path: Path, cache: YokedCache, fresh: bool
) -> None:
    """
    The next file gets the inode of the one that was deleted, as a rule.
    """
    file = tmp_path / "blog.db"
    kept: Blog | None = None
    for name in ("one", "two", "three"):
        engine = create_engine(f"sqlite:///{file}")
        if kept is None or fresh:
            kept = Blog(engine)
        else:
            Blog(engine)
            kept.engine.dispose()
        rename(kept.engine, name)  # the first connection of its own to the new file
        maker = kept.attached(cache)

        @cached(cache=cache)
        def called(maker: Any = kept.sessions) -> Any:
            return asked(maker)

        assert [asked(maker), asked(maker), called(), called()] == [name] * 4
        engine.dispose()
        kept.engine.dispose()
        os.remove(file)  # noqa: PTH107


@pytest.mark.parametrize("fresh", [True, False], ids=["new engine", "same engine"])
def test_hole_11_a_database_that_is_dropped_and_made_anew(
    postgres_server: PostgresServer, cache: YokedCache, fresh: bool
) -> None:
    database = postgres_server.create_database()
    kept: Blog | None = None
    for name in ("one", "two"):
        if kept is None or fresh:
            kept = Blog(create_engine(database.url("psycopg")))
        else:
            filler = create_engine(database.url("psycopg"))
            Blog(filler)
            filler.dispose()
        rename(kept.engine, name)
        maker = kept.attached(cache)
        assert [asked(maker), asked(maker)] == [name] * 2
        kept.engine.dispose()
        postgres_server.drop_database(database)
        database = postgres_server.create_database(database.name)
    postgres_server.drop_database(database)


def test_hole_11_an_attached_database(tmp_path: Path, cache: YokedCache) -> None:
    """
    `users` may be a table of either file.
    """
    with blog_at(f"sqlite:///{tmp_path / 'other.db'}") as other:
        rename(other.engine, "other")
    engine = create_engine(f"sqlite:///{tmp_path / 'blog.db'}")

    @event.listens_for(engine, "connect")
    def attach(driver: Any, _: Any) -> None:
        with closing(driver.cursor()) as cursor:
            cursor.execute(f"ATTACH '{tmp_path / 'other.db'}' AS other")

    maker = cache.attach(sessionmaker(engine), vary=None)
    Blog(engine)
    theirs = text("SELECT name FROM other.users WHERE id = 1")
    for number in range(3):
        with maker() as session:
            assert session.execute(theirs).scalar_one() == f"{number or 'other'}"
        assert asked(maker) == ("ann" if not number else f"own {number}")
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE other.users SET name = '{number + 1}'")
        rename(engine, f"own {number + 1}")
    engine.dispose()


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
def test_hole_11_a_temporary_table_that_shadows(blog: Blog, cache: YokedCache) -> None:
    maker = blog.attached(cache)
    assert [asked(maker), asked(maker)] == ["ann", "ann"]
    with maker() as session:
        session.execute(
            text(
                "CREATE TEMP TABLE users AS SELECT 1 AS id, 'temp' AS name, true AS active"
            )
        )
        assert session.scalars(NAME).all() == ["temp"]
        assert asked(maker) == "ann"
        session.execute(text("DROP TABLE users"))
        assert session.scalars(NAME).all() == ["ann"]
        session.rollback()
    assert asked(maker) == "ann"

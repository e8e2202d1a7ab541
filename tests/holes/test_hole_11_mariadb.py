"""
Holes 11 and 29 on MariaDB: whose database it is, by any driver and in any schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from tests.support.databases import STATEMENT_LEVEL, Blog, async_blog_at, blog_at
from tests.support.models import Base, Post, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services import MariaDBDatabase
    from yokedcache import YokedCache

RENAMING = "UPDATE users SET name = 'new' WHERE id = 1"


def name(maker: Callable[[], Session]) -> str | None:
    with maker() as session:
        return session.scalar(select(User.name).where(User.id == 1))


def posts(maker: Callable[[], Session]) -> int | None:
    with maker() as session:
        return session.scalar(select(func.count()).select_from(Post))


@pytest.fixture
def shop(mariadb_database: MariaDBDatabase) -> Iterator[Blog]:
    with blog_at(mariadb_database.url("pymysql"), **STATEMENT_LEVEL) as blog:
        yield blog


@pytest.fixture
def tenant(
    make_mariadb_database: Callable[[], MariaDBDatabase],
) -> Iterator[Blog]:
    url = make_mariadb_database().url("pymysql")
    with blog_at(url, **STATEMENT_LEVEL) as blog:
        yield blog


@pytest.mark.usefixtures("may_block")  # PyMySQL on the loop's thread
@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
async def test_hole_11_two_drivers_invalidate_each_other(
    mariadb_database: MariaDBDatabase, cache: YokedCache, driver: str
) -> None:
    def renamed(connection: Any, to: str) -> None:
        connection.execute(text("UPDATE users SET name = :to WHERE id = 1"), {"to": to})

    url = mariadb_database.url(driver, "mysql")
    async with async_blog_at(url, **STATEMENT_LEVEL) as loop:
        plain = create_engine(mariadb_database.url("pymysql"), **STATEMENT_LEVEL)
        blocking = sessionmaker(plain)
        cache.attach(blocking)
        maker = loop.attached(cache)

        async def name_async() -> str | None:
            async with maker() as session:
                found: str | None = await session.scalar(
                    select(User.name).where(User.id == 1)
                )
                return found

        assert [name(blocking), await name_async()] == ["ann", "ann"]
        with plain.begin() as connection:
            renamed(connection, "first")
        assert [name(blocking), await name_async()] == ["first", "first"]
        async with loop.engine.begin() as connection:
            await connection.run_sync(renamed, "second")
        assert [name(blocking), await name_async()] == ["second", "second"]
        with loop.counted() as sent:
            assert await name_async() == "second"
        assert sent == []
        plain.dispose()


def test_hole_11_schemas_of_one_server_leave_each_other_alone(
    shop: Blog, tenant: Blog, cache: YokedCache
) -> None:
    makers = [blog.attached(cache) for blog in (shop, tenant)]
    assert [name(maker) for maker in makers] == ["ann", "ann"]
    with tenant.engine.begin() as connection:
        connection.exec_driver_sql(RENAMING)
    with shop.counted() as sent:
        assert [name(maker) for maker in makers] == ["ann", "new"]
    assert sent == []


WAYS = {
    "qualified": "UPDATE {other}.users SET name = 'new' WHERE id = 1",
    "joined": "UPDATE posts p JOIN {other}.users u ON u.id = 1 SET u.name = 'new'"
    " WHERE p.id = 11",
    "view": "UPDATE theirs SET name = 'new' WHERE id = 1",
    "trigger": "UPDATE posts SET title = 'x' WHERE id = 11",
    "procedure": "CALL {other}.p()",
    "function": "SELECT {other}.f()",
    "translated": "",
    "used": "USE {other}",
}


@pytest.mark.parametrize("way", WAYS)
def test_hole_29_a_write_into_another_schema_is_seen_there(
    shop: Blog, tenant: Blog, cache: YokedCache, way: str
) -> None:
    other = str(tenant.engine.url.database)
    with tenant.engine.begin() as connection:
        for statement in (
            f"CREATE PROCEDURE p() {RENAMING}",
            f"CREATE FUNCTION f() RETURNS int BEGIN {RENAMING}; RETURN 1; END",
        ):
            connection.exec_driver_sql(statement)
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE VIEW theirs AS SELECT * FROM {other}.users")
        if way == "trigger":
            change = WAYS["qualified"].format(other=other)
            connection.exec_driver_sql(
                f"CREATE TRIGGER t AFTER UPDATE ON posts FOR EACH ROW {change}"
            )
    maker = tenant.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with shop.engine.connect() as connection:
        if way == "translated":
            connection = connection.execution_options(  # noqa: PLW2901
                schema_translate_map={None: other}
            )
            table: Any = User.__table__
            connection.execute(table.update().where(table.c.id == 1).values(name="new"))
        else:
            connection.exec_driver_sql(WAYS[way].format(other=other))
        if way == "used":
            connection.exec_driver_sql(RENAMING)
            connection.exec_driver_sql(f"USE {shop.engine.url.database}")
        connection.commit()
    assert name(maker) == "new"


@pytest.mark.parametrize("way", ["qualified", "view", "translated"])
def test_hole_29_what_is_read_in_another_schema_is_not_stored(
    shop: Blog, tenant: Blog, cache: YokedCache, way: str
) -> None:
    other = str(tenant.engine.url.database)
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE VIEW theirs AS SELECT * FROM {other}.users")
    maker = shop.attached(cache)

    def theirs() -> str | None:
        with maker() as session:
            if way == "translated":
                found: str | None = session.scalar(
                    select(User.name).where(User.id == 1),
                    execution_options={"schema_translate_map": {None: other}},
                )
                return found
            table = "theirs" if way == "view" else f"{other}.users"
            return session.scalar(text(f"SELECT name FROM {table} WHERE id = 1"))

    assert [theirs(), theirs()] == ["ann", "ann"]
    with tenant.engine.begin() as connection:
        connection.exec_driver_sql(RENAMING)
    assert [theirs(), name(maker)] == ["new", "ann"]
    assert cache.stats().total.hits == 0


def test_hole_29_nor_is_what_a_listener_sends_to_another_schema(
    shop: Blog, tenant: Blog, cache: YokedCache
) -> None:
    maker = shop.attached(cache, vary=None)
    other = tenant.engine.url.database

    @event.listens_for(shop.engine, "before_cursor_execute", retval=True)
    def elsewhere(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> Any:
        return sql.replace("FROM users", f"FROM {other}.users"), values

    assert [name(maker) for _ in range(4)] == ["ann"] * 4
    with tenant.engine.begin() as connection:
        connection.exec_driver_sql(RENAMING)
    assert name(maker) == "new"


def test_hole_29_ones_own_schema_may_be_named(shop: Blog, cache: YokedCache) -> None:
    maker = shop.attached(cache)
    query = text(f"SELECT name FROM {shop.engine.url.database}.users WHERE id = 1")
    assert name(maker) == "ann"  # the schema is learnt with the first answer

    def named() -> str | None:
        with maker() as session:
            return session.scalar(query)

    assert [named(), named()] == ["ann", "ann"]
    with shop.counted() as sent:
        assert named() == "ann"
    assert sent == []
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(RENAMING)
    assert named() == "new"


def test_hole_29_after_use_an_engine_is_no_longer_trusted(
    shop: Blog, tenant: Blog, cache: YokedCache
) -> None:
    other = str(tenant.engine.url.database)
    makers = [shop.attached(cache, vary=None), tenant.attached(cache)]
    with tenant.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET name = 'theirs' WHERE id = 1")
    assert [name(maker) for maker in makers] == ["ann", "theirs"]
    with shop.engine.connect() as connection:
        connection.exec_driver_sql(f"USE {other}")
    # The pool gives the same connection again, which is in the other schema now.
    assert name(makers[0]) == "theirs"
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(RENAMING)
    assert [name(maker) for maker in makers] == ["new", "new"]


def test_hole_11_a_database_made_anew_is_another(shop: Blog, cache: YokedCache) -> None:
    maker = shop.attached(cache)
    assert [name(maker), posts(maker)] == ["ann", 6]
    database = shop.engine.url.database
    with shop.engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {database}")
        connection.exec_driver_sql(f"CREATE DATABASE {database}")
        connection.commit()
    shop.engine.dispose()
    Base.metadata.create_all(shop.engine)
    assert [name(maker), posts(maker)] == [None, 0]


def test_hole_04_what_a_connection_was_told_is_context(
    shop: Blog, cache: YokedCache
) -> None:
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE users ADD at timestamp DEFAULT 0")
        connection.exec_driver_sql("UPDATE users SET at = '2026-01-01 12:00:00'")
    maker = shop.attached(cache)
    query = text("SELECT CAST(at AS char) FROM users WHERE id = 1")

    def at(zone: str | None = None) -> str | None:
        with maker() as session:
            if zone is not None:
                session.execute(text(f"SET time_zone = '{zone}'"))
            return session.scalar(query)

    assert [at(), at()] == ["2026-01-01 12:00:00"] * 2
    assert [at("+02:00"), at("+00:00")] == [
        "2026-01-01 14:00:00",
        "2026-01-01 12:00:00",
    ]
    assert cache.stats().total.bypasses["context"] > 0


def test_hole_04_an_init_command_is_part_of_the_key(
    shop: Blog, cache: YokedCache
) -> None:
    query = text("SELECT CAST(FROM_UNIXTIME(0) AS char), count(*) FROM users")
    seen = []
    for zone in ("+00:00", "+05:00"):
        engine = create_engine(
            shop.engine.url,
            connect_args={"init_command": f"SET time_zone = '{zone}'"},
            **STATEMENT_LEVEL,
        )
        maker = sessionmaker(engine)
        cache.attach(maker)
        for _ in range(2):
            with maker() as session:
                seen.append(session.execute(query).one()[0][11:13])
        engine.dispose()
    assert seen == ["00", "00", "05", "05"]
    assert cache.stats().total.hits == 2


def test_hole_04_a_listener_that_changes_the_schema(
    shop: Blog, tenant: Blog, cache: YokedCache
) -> None:
    engine = create_engine(shop.engine.url, **STATEMENT_LEVEL)
    schemas = [str(blog.engine.url.database) for blog in (shop, tenant)]
    with tenant.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET name = 'theirs' WHERE id = 1")

    def choose(dbapi_connection: Any, *_: Any) -> None:
        dbapi_connection.select_db(schemas[0])
        schemas.reverse()

    event.listen(engine, "checkout", choose)
    maker = sessionmaker(engine)
    cache.attach(maker)
    assert [name(maker) for _ in range(4)] == ["ann", "theirs"] * 2
    engine.dispose()

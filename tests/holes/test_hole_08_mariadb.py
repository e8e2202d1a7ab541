"""
Hole 8 on MariaDB: views, triggers and partitions that no model knows of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.support.databases import STATEMENT_LEVEL, Blog, async_blog_at, blog_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from tests.services import MariaDBDatabase
    from yokedcache import YokedCache

RENAMING = "UPDATE users SET name = 'new' WHERE id = 1"
SCHEMA = (
    "CREATE VIEW people AS SELECT id, name AS called FROM users",
    "CREATE VIEW some AS SELECT called FROM people WHERE id = 1",
    "CREATE TABLE fires (x int)",
    f"CREATE TRIGGER f AFTER INSERT ON fires FOR EACH ROW {RENAMING}",
    "CREATE TABLE hides (x int)",
    f"""CREATE TRIGGER h AFTER INSERT ON hides FOR EACH ROW
        IF NEW.x > 0 THEN {RENAMING}; END IF""",
    """CREATE TABLE logs (id int PRIMARY KEY, word varchar(9))
        PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10),
        PARTITION p1 VALUES LESS THAN MAXVALUE)""",
    "INSERT INTO logs VALUES (1, 'old'), (11, 'far')",
)
NAME = "SELECT name FROM users WHERE id = 1"
COUNT = "SELECT count(*) FROM posts"
LOG = "SELECT word FROM logs WHERE id = 1"


@pytest.fixture
def prepared(mariadb_database: MariaDBDatabase) -> Iterator[Blog]:
    with blog_at(mariadb_database.url("pymysql"), **STATEMENT_LEVEL) as blog:
        with blog.engine.begin() as connection:
            for statement in SCHEMA:
                connection.exec_driver_sql(statement)
        yield blog


def asked(maker: Callable[[], Session], query: str) -> Any:
    with maker() as session:
        return session.scalar(text(query))


def served(blog: Blog, maker: Callable[[], Session], query: str) -> bool:
    with blog.counted() as sent:
        asked(maker, query)
    return sent == []


@pytest.mark.parametrize("view", ["SELECT called FROM people WHERE id = 1",
                                  "SELECT called FROM some"])  # fmt: skip
def test_hole_08_what_is_read_through_a_view(
    prepared: Blog, cache: YokedCache, view: str
) -> None:
    maker = prepared.attached(cache)
    assert asked(maker, view) == "ann"
    assert served(prepared, maker, view)
    with prepared.engine.begin() as connection:
        connection.exec_driver_sql(RENAMING)
    assert asked(maker, view) == "new"
    assert served(prepared, maker, view)


def test_hole_08_a_view_that_is_defined_anew(prepared: Blog, cache: YokedCache) -> None:
    maker = prepared.attached(cache)
    query = "SELECT called FROM people WHERE id = 1"
    assert [asked(maker, query), asked(maker, query)] == ["ann", "ann"]
    with prepared.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE OR REPLACE VIEW people AS SELECT id, word AS called FROM logs"
        )
    assert asked(maker, query) == "old"
    with prepared.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE logs SET word = 'newer' WHERE id = 1")
    assert asked(maker, query) == "newer"


@pytest.mark.parametrize(("table", "precise"), [("fires", True), ("hides", False)])
def test_hole_08_what_a_trigger_writes(
    prepared: Blog, cache: YokedCache, table: str, precise: bool
) -> None:
    maker = prepared.attached(cache)
    assert [asked(maker, NAME), asked(maker, COUNT)] == ["ann", 6]
    with prepared.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES (1)")
        assert asked(maker, NAME) == "ann"
    assert asked(maker, NAME) == "new"
    assert served(prepared, maker, COUNT) is precise


def test_hole_08_an_unreadable_trigger_may_be_declared(
    prepared: Blog, cache: YokedCache
) -> None:
    cache.touches("hides", "users")
    maker = prepared.attached(cache)
    assert [asked(maker, NAME), asked(maker, COUNT)] == ["ann", 6]
    with prepared.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO hides VALUES (1)")
    assert asked(maker, NAME) == "new"
    assert served(prepared, maker, COUNT)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE logs PARTITION (p0) SET word = 'new'",
        "REPLACE INTO logs PARTITION (p0) VALUES (1, 'new')",
        "INSERT INTO logs VALUES (1, '') ON DUPLICATE KEY UPDATE word = 'new'",
        "ALTER TABLE logs TRUNCATE PARTITION p0",
    ],
)
def test_hole_08_partitions(prepared: Blog, cache: YokedCache, change: str) -> None:
    maker = prepared.attached(cache)
    one = "SELECT word FROM logs PARTITION (p0)"
    assert [asked(maker, LOG), asked(maker, one)] == ["old", "old"]
    assert served(prepared, maker, one)
    with prepared.engine.begin() as connection:
        connection.exec_driver_sql(change)
    new = None if "TRUNCATE" in change else "new"
    assert [asked(maker, LOG), asked(maker, one)] == [new, new]


async def test_hole_08_on_the_event_loop(
    mariadb_database: MariaDBDatabase, cache: YokedCache
) -> None:
    async with async_blog_at(
        mariadb_database.url("asyncmy"), **STATEMENT_LEVEL
    ) as blog:
        async with blog.engine.begin() as connection:
            for statement in SCHEMA:
                await connection.exec_driver_sql(statement)
        maker = blog.attached(cache)

        async def called() -> Any:
            async with maker() as session:
                return await session.scalar(text("SELECT called FROM some"))

        assert [await called(), await called()] == ["ann", "ann"]
        async with blog.engine.begin() as connection:
            await connection.exec_driver_sql("INSERT INTO fires VALUES (1)")
        assert await called() == "new"
        with blog.counted() as sent:
            assert await called() == "new"
        assert sent == []

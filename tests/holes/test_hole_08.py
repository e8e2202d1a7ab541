"""
Hole 8: what the database writes by itself, and reads under other names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.support.databases import async_blog_at
from yokedcache import cached
from yokedcache.errors import DeclarationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.postgres import PostgresDatabase
    from tests.support.databases import Blog
    from yokedcache import YokedCache

ROUTES = {
    "sqlite": {
        "a trigger": """
            CREATE TRIGGER t AFTER INSERT ON marks BEGIN
                UPDATE totals SET n = n + new.n; END
        """,
        "a trigger on a trigger": """
            CREATE TABLE middle (n int);
            CREATE TRIGGER t AFTER INSERT ON marks BEGIN
                INSERT INTO middle VALUES (new.n); END;
            CREATE TRIGGER u AFTER INSERT ON middle BEGIN
                UPDATE totals SET n = n + new.n; END
        """,
        "a view": """
            ALTER TABLE marks RENAME TO hidden;
            CREATE VIEW marks AS SELECT n FROM hidden;
            CREATE TRIGGER t INSTEAD OF INSERT ON marks BEGIN
                UPDATE totals SET n = n + new.n; END
        """,
    },
    "postgresql": {
        "a trigger": """
            CREATE FUNCTION add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                UPDATE totals SET n = n + new.n; RETURN new; END $$;
            CREATE TRIGGER t AFTER INSERT ON marks
                FOR EACH ROW EXECUTE FUNCTION add()
        """,
        "a trigger on a trigger": """
            CREATE TABLE middle (n int);
            CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO middle VALUES (new.n); RETURN NULL; END $$;
            CREATE FUNCTION add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                UPDATE totals SET n = n + new.n; RETURN new; END $$;
            CREATE TRIGGER t AFTER INSERT ON marks
                FOR EACH ROW EXECUTE FUNCTION pass();
            CREATE CONSTRAINT TRIGGER u AFTER INSERT ON middle
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION add()
        """,
        "a trigger that can't be read": """
            CREATE FUNCTION add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                EXECUTE 'UPDATE totals SET n = n + 1'; RETURN new; END $$;
            CREATE TRIGGER t AFTER INSERT ON marks
                FOR EACH ROW EXECUTE FUNCTION add()
        """,
        "a rule": """
            CREATE RULE r AS ON INSERT TO marks
                DO ALSO UPDATE totals SET n = n + new.n
        """,
        "a view": """
            CREATE VIEW gate AS SELECT n FROM totals;
            CREATE RULE r AS ON INSERT TO marks DO INSTEAD UPDATE gate SET n = n + 1
        """,
    },
}
READS = {
    "sqlite": {
        "a view": "CREATE VIEW seen AS SELECT n FROM totals",
        "a view of a view": """
            CREATE VIEW first AS SELECT * FROM totals WHERE n >= 0;
            CREATE VIEW seen (n) AS SELECT n FROM first
        """,
    },
    "postgresql": {
        "a view": "CREATE VIEW seen AS SELECT n FROM totals",
        "a view of a view": """
            CREATE VIEW first AS SELECT * FROM totals WHERE n >= 0;
            CREATE VIEW seen (n) AS SELECT n FROM first
        """,
        "a partitioned table": """
            DROP TABLE totals;
            CREATE TABLE seen (n int) PARTITION BY RANGE (n);
            CREATE TABLE totals PARTITION OF seen FOR VALUES FROM (0) TO (10);
            INSERT INTO totals VALUES (0)
        """,
        "a partition": """
            DROP TABLE totals;
            CREATE TABLE totals (n int) PARTITION BY RANGE (n);
            CREATE TABLE seen PARTITION OF totals FOR VALUES FROM (0) TO (10);
            INSERT INTO totals VALUES (0)
        """,
        "a parent table": """
            CREATE TABLE seen (n int);
            ALTER TABLE totals INHERIT seen
        """,
    },
}


def _cases(routes: dict[str, dict[str, str]]) -> list[Any]:
    return [
        pytest.param(database, script, id=f"{database}: {name}")
        for database, scripts in routes.items()
        for name, script in scripts.items()
    ]


def _prepare(blog: Blog, script: str) -> None:
    with blog.engine.begin() as connection:
        for statement in (
            "CREATE TABLE totals (n int)",
            "INSERT INTO totals VALUES (0)",
            "CREATE TABLE marks (n int)",
        ):
            connection.exec_driver_sql(statement)
        if connection.dialect.name == "sqlite":
            raw: Any = connection.connection.driver_connection
            raw.executescript(script)
        else:
            connection.exec_driver_sql(script)


def _asker(blog: Blog, cache: YokedCache, table: str) -> list[Callable[[], Any]]:
    maker = blog.attached(cache)
    total = text(f"SELECT n FROM {table}")

    @cached(cache=cache)
    def called() -> Any:
        with blog.sessions() as session:
            return session.execute(total).scalar_one()

    def asked() -> Any:
        with maker() as session:
            return session.execute(total).scalar_one()

    return [called, asked]


def _names(blog: Blog, cache: YokedCache) -> Callable[[], Any]:
    maker = blog.attached(cache)

    def names() -> Any:
        with maker() as session:
            return session.execute(text("SELECT name FROM users")).all()

    return names


@pytest.mark.parametrize(("blog", "script"), _cases(ROUTES), indirect=["blog"])
def test_hole_08_writes_of_the_database_s_own(
    blog: Blog, cache: YokedCache, script: str
) -> None:
    _prepare(blog, script)
    asks = _asker(blog, cache, "totals")
    for number in range(3):
        for ask in asks * 2:
            assert ask() == number
        with blog.counted() as sent:
            assert [ask() for ask in asks] == [number, number]
        assert not sent
        with blog.engine.begin() as connection:
            connection.execute(text("INSERT INTO marks VALUES (1)"))


@pytest.mark.parametrize(("blog", "script"), _cases(READS), indirect=["blog"])
def test_hole_08_reads_under_another_name(
    blog: Blog, cache: YokedCache, script: str
) -> None:
    _prepare(blog, script)
    asks = _asker(blog, cache, "seen")
    for number in range(3):
        for ask in asks * 2:
            assert ask() == number
        with blog.counted() as sent:
            assert [ask() for ask in asks] == [number, number]
        assert not sent
        with blog.engine.begin() as connection:
            connection.execute(text("UPDATE totals SET n = n + 1"))


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
def test_hole_08_what_a_readable_trigger_leaves_alone_stays(
    blog: Blog, cache: YokedCache
) -> None:
    _prepare(blog, ROUTES[blog.engine.dialect.name]["a trigger"])
    names = _names(blog, cache)
    names()
    with blog.engine.begin() as connection:
        connection.execute(text("INSERT INTO marks VALUES (1)"))
    with blog.counted() as sent:
        names()
    assert not sent


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
def test_hole_08_a_trigger_that_comes_later(blog: Blog, cache: YokedCache) -> None:
    _prepare(blog, "SELECT 1")
    asks = _asker(blog, cache, "totals")
    assert [ask() for ask in asks * 2] == [0, 0, 0, 0]
    script = ROUTES[blog.engine.dialect.name]["a trigger"]
    with blog.engine.begin() as connection:
        connection.exec_driver_sql(script)
    assert [ask() for ask in asks * 2] == [0, 0, 0, 0]
    with blog.engine.begin() as connection:
        connection.execute(text("INSERT INTO marks VALUES (1)"))
    assert [ask() for ask in asks * 2] == [1, 1, 1, 1]


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
def test_hole_08_a_materialised_view_changes_when_it_is_refreshed(
    blog: Blog, cache: YokedCache
) -> None:
    _prepare(blog, "CREATE MATERIALIZED VIEW seen AS SELECT n FROM totals")
    asks = _asker(blog, cache, "seen")
    with blog.engine.begin() as connection:
        connection.execute(text("UPDATE totals SET n = 7"))
    assert [ask() for ask in asks * 2] == [0, 0, 0, 0]
    with blog.engine.begin() as connection:
        connection.execute(text("REFRESH MATERIALIZED VIEW seen"))
    assert [ask() for ask in asks * 2] == [7, 7, 7, 7]


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
def test_hole_08_an_app_says_what_a_trigger_touches(
    blog: Blog, cache: YokedCache
) -> None:
    _prepare(blog, ROUTES["postgresql"]["a trigger that can't be read"])
    cache.touches("marks", "totals")
    totals = _asker(blog, cache, "totals")
    users = _asker(
        blog, cache, ["users", "WHERE", "id", "=", "1", "AND", "n", "IS", "NULL"][0]
    )
    del users
    names = _names(blog, cache)
    names()
    assert [ask() for ask in totals] == [0, 0]
    with blog.engine.begin() as connection:
        connection.execute(text("INSERT INTO marks VALUES (1)"))
    assert [ask() for ask in totals] == [1, 1]
    with blog.counted() as sent:
        names()
    assert not sent


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
def test_hole_08_an_app_says_what_a_raw_connection_wrote(
    blog: Blog, cache: YokedCache
) -> None:
    _prepare(blog, "SELECT 1")
    asks = _asker(blog, cache, "totals")
    names = _names(blog, cache)
    names()
    assert [ask() for ask in asks] == [0, 0]
    raw = blog.engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("UPDATE totals SET n = 5")
    cursor.close()
    raw.commit()
    cache.wrote(raw, "totals")
    assert [ask() for ask in asks] == [5, 5]
    raw.close()
    assert [ask() for ask in asks] == [5, 5]
    with blog.counted() as sent:
        names()
    assert not sent


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
def test_hole_08_a_driver_s_connection_in_a_transaction(
    blog: Blog, cache: YokedCache
) -> None:
    _prepare(blog, "SELECT 1")
    asks = _asker(blog, cache, "totals")
    assert [ask() for ask in asks] == [0, 0]
    with blog.engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        cursor.execute("UPDATE totals SET n = 5")
        cursor.close()
        cache.wrote(connection, ["totals"])
        assert [ask() for ask in asks] == [0, 0]
    assert [ask() for ask in asks] == [5, 5]


@pytest.mark.parametrize("connection", [None, 3, object()])
def test_writes_of_what_is_no_connection(cache: YokedCache, connection: Any) -> None:
    with pytest.raises(UsageError, match="raw_connection"):
        cache.wrote(connection, ["users"])


@pytest.mark.parametrize("table", ["", None, 3])
def test_a_table_is_told_by_its_name(cache: YokedCache, table: Any) -> None:
    with pytest.raises(DeclarationError, match="by its name"):
        cache.touches("users", table)
    with pytest.raises(DeclarationError, match="by its name"):
        cache.touches(table, "users")


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_hole_08_for_async_sessions(
    postgres_database: PostgresDatabase, cache: YokedCache, driver: str
) -> None:
    function, trigger = ROUTES["postgresql"]["a trigger"].split("$$;")
    async with async_blog_at(postgres_database.url(driver)) as blog:
        async with blog.engine.begin() as connection:
            for statement in (
                "CREATE TABLE totals (n int)",
                "INSERT INTO totals VALUES (0)",
                "CREATE TABLE marks (n int)",
                "CREATE VIEW seen AS SELECT n FROM totals",
                f"{function}$$",
                trigger,
            ):
                await connection.exec_driver_sql(statement)
        maker = blog.attached(cache)
        for number in range(3):
            for _ in range(2):
                async with maker() as session:
                    seen = await session.execute(text("SELECT n FROM seen"))
                    assert seen.scalar_one() == number
            async with blog.sessions.begin() as session:
                await session.execute(text("INSERT INTO marks VALUES (1)"))

"""
Hole 8 on PostgreSQL: functions of users that run without being called by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import column, literal, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.databases import Blog, async_blog_at, blog_at, twin
from tests.support.models import Post, User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.postgres import PostgresDatabase
    from yokedcache import YokedCache

WRITES = """AS $$ BEGIN UPDATE users SET name = 'new' WHERE id = 1; RETURN {}; END $$
    LANGUAGE plpgsql"""
READS = "AS $$ SELECT title::text FROM posts ORDER BY id LIMIT 1 $$ LANGUAGE sql STABLE"

WRITING = (
    "CREATE TYPE pair AS (a int)",
    f"CREATE FUNCTION op_writes(int, int) RETURNS int {WRITES.format('1')}",
    "CREATE OPERATOR ##> (LEFTARG = int, RIGHTARG = int, FUNCTION = op_writes)",
    "CREATE OPERATOR ##% (LEFTARG = int, RIGHTARG = int, FUNCTION = op_writes)",
    f"CREATE FUNCTION cast_writes(int) RETURNS pair {WRITES.format('row(1)::pair')}",
    "CREATE CAST (int AS pair) WITH FUNCTION cast_writes(int) AS ASSIGNMENT",
    "CREATE AGGREGATE total(int) (SFUNC = op_writes, STYPE = int, INITCOND = 0)",
    f"CREATE FUNCTION checks(int) RETURNS bool {WRITES.format('true')}",
    "CREATE DOMAIN sized AS int CHECK (checks(VALUE))",
    "CREATE DOMAIN small AS sized CHECK (VALUE < 100)",
    "CREATE DOMAIN operated AS int CHECK ((VALUE ##> 1) = 1)",
    f"CREATE FUNCTION gives() RETURNS int {WRITES.format('1')}",
    "CREATE DOMAIN given AS int DEFAULT gives()",
    "CREATE TABLE of_domains (id int, n small)",
    "CREATE TABLE of_arrays (id int, n sized[])",
    "CREATE TABLE of_operators (id int, n operated)",
    "CREATE TABLE of_given (id int, n given)",
    "CREATE TABLE of_pairs (id int, p pair)",
    "CREATE TABLE by_default (id int, n int DEFAULT (1 ##> 2))",
    "CREATE TABLE by_check (id int CHECK ((id ##> 2) = 1))",
    "CREATE TABLE cast_by_default (id int, p pair DEFAULT 1::pair)",
    "CREATE TABLE fires (id int)",
    """CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        NEW.id := NEW.id ##> 1; RETURN NEW; END $$""",
    """CREATE TRIGGER t BEFORE INSERT ON fires FOR EACH ROW
        EXECUTE FUNCTION fire()""",
    f"CREATE FUNCTION nickname(posts) RETURNS text {WRITES.format(chr(39) * 2)}",
    "CREATE VIEW nicknames AS SELECT p.nickname FROM posts p",
    "CREATE VIEW over_nicknames AS SELECT * FROM nicknames",
)
READING = (
    f"CREATE FUNCTION op_reads(int, int) RETURNS text {READS}",
    "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = op_reads)",
    f"CREATE FUNCTION tname(users) RETURNS text {READS}",
    f"CREATE FUNCTION anyhow(anyelement) RETURNS text {READS}",
    "CREATE TYPE pair AS (a text)",
    """CREATE FUNCTION pair_of(int) RETURNS pair LANGUAGE sql STABLE
        AS $$ SELECT row(title)::pair FROM posts ORDER BY id LIMIT 1 $$""",
    "CREATE CAST (int AS pair) WITH FUNCTION pair_of(int)",
    "CREATE VIEW operated AS SELECT u.id === 1 AS t FROM users u WHERE id = 1",
    "CREATE VIEW named AS SELECT u.tname AS t FROM users u WHERE id = 1",
    "CREATE VIEW over_named AS SELECT t FROM named",
)
CALLED = (
    f"CREATE FUNCTION lower(int) RETURNS text {READS}",
    "CREATE VIEW called AS SELECT op_reads(1, 1) AS title",
)

WRITERS = {
    "an operator": text("SELECT 1 ##> 2"),
    "a schema's operator": text("SELECT 1 OPERATOR(public.##>) 2"),
    "an operator of the ORM's": select(literal(1).op("##>")(2)),
    "an operator with a percent sign": select(literal(1).op("##%")(2)),
    "an operator in an update": (
        update(Post).values(author_id=literal(1).op("##>")(2))
    ),
    "an aggregate": text("SELECT total(id) FROM posts"),
    "a cast": text("SELECT 5::pair"),
    "a cast in words": text("SELECT CAST(5 AS public.pair)"),
    "a cast of what is inserted": text("INSERT INTO of_pairs VALUES (1, 5)"),
    "a cast to a domain": text("SELECT 5::small"),
    "a column of a domain": text("INSERT INTO of_domains VALUES (1, 2)"),
    "a column of arrays of a domain": text("INSERT INTO of_arrays VALUES (1, '{1}')"),
    "a row with a domain": text(
        "SELECT jsonb_populate_record(NULL::of_domains, '{\"n\": 1}')"
    ),
    "a domain's operator": text("INSERT INTO of_operators VALUES (1, 2)"),
    "a domain's default": text("INSERT INTO of_given (id) VALUES (1)"),
    "a default": text("INSERT INTO by_default (id) VALUES (1)"),
    "a default's cast": text("INSERT INTO cast_by_default (id) VALUES (1)"),
    "a check": text("INSERT INTO by_check VALUES (1)"),
    "a trigger": text("INSERT INTO fires VALUES (1)"),
    "an attribute": text("SELECT p.nickname FROM posts p"),
    "an attribute in quotes": text('SELECT (p)."nickname" FROM posts p'),
    "an attribute behind views": text("SELECT * FROM over_nicknames"),
}
READERS = {
    "an operator": text("SELECT id === 1 FROM users WHERE id = 1"),
    "an operator of the ORM's": select(User.id.op("===")(1)).where(User.id == 1),
    "an operator of no table": select(literal(1).op("===")(1)),
    "an attribute": text("SELECT u.tname FROM users u WHERE u.id = 1"),
    "an attribute in numbers": text(
        'SELECT u.U&"tn\\0061me" FROM users u WHERE u.id = 1'
    ),
    "a literal column": (
        select(literal_column("users.tname")).select_from(User).where(User.id == 1)
    ),
    "a column": select(column("tname", _selectable=User.__table__)).where(User.id == 1),
    "an attribute of anything": text("SELECT u.anyhow FROM users u WHERE id = 1"),
    "a cast": text("SELECT (id::pair).a FROM users WHERE id = 1"),
    "a view of an operator": text("SELECT t FROM operated"),
    "a view of a view of an attribute": text("SELECT t FROM over_named"),
}
RETITLING = "UPDATE posts SET title = 'new'"
NAME = select(User.name).where(User.id == 1)


def _made(blog: Blog, schema: tuple[str, ...]) -> Blog:
    with blog.engine.begin() as connection:
        for statement in schema:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    return blog


@pytest.fixture
def empty(postgres_database: PostgresDatabase) -> Iterator[Blog]:
    with blog_at(postgres_database.url("psycopg")) as blog:
        yield blog


def _asked(
    blog: Blog, cache: YokedCache, query: Any, **options: Any
) -> list[Callable[[], Any]]:
    maker = blog.attached(cache)

    @cached(cache=cache, **options)
    def called() -> Any:
        with blog.sessions() as session:
            return session.scalar(query)

    def asked() -> Any:
        with maker() as session:
            return session.scalar(query)

    return [called, asked]


@pytest.mark.parametrize("statement", WRITERS.values(), ids=WRITERS)
def test_hole_08_what_writes_without_a_call(
    empty: Blog, cache: YokedCache, statement: Any
) -> None:
    blog = _made(empty, WRITING)
    asks = _asked(blog, cache, NAME)
    assert [ask() for ask in asks * 2] == ["ann"] * 4
    with blog.engine.begin() as connection:
        connection.execute(statement)
        assert asks[1]() == "ann"
    assert [ask() for ask in asks * 2] == ["new"] * 4


def test_hole_08_what_writes_over_an_engine_that_knows_nothing_yet(
    empty: Blog, cache: YokedCache
) -> None:
    blog = _made(empty, WRITING)
    asks = _asked(blog, cache, NAME)
    assert [ask() for ask in asks * 2] == ["ann"] * 4
    other = twin(blog.engine)
    with other.begin() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        connection.execute(WRITERS["an operator"])
    other.dispose()
    assert [ask() for ask in asks * 2] == ["new"] * 4


@pytest.mark.parametrize(
    "query",
    [
        "SELECT op_reads(1, 1)",
        "SELECT op_reads(1, 1), now()",
        "SELECT title, now() FROM called",
        "SELECT lower(1), now()",
    ],
)
def test_hole_08_a_function_that_is_called_for_no_table(
    empty: Blog, cache: YokedCache, query: str
) -> None:
    blog = _made(empty, (*READING, *CALLED))
    asks = _asked(blog, cache, text(query), ttl=60)
    assert [ask() for ask in asks * 2] == ["ann's 1"] * 4
    with blog.engine.begin() as connection:
        connection.exec_driver_sql(RETITLING)
    assert [ask() for ask in asks * 2] == ["new"] * 4


@pytest.mark.parametrize("query", READERS.values(), ids=READERS)
def test_hole_08_what_is_read_without_a_call(
    empty: Blog, cache: YokedCache, query: Any
) -> None:
    blog = _made(empty, READING)
    asks = _asked(blog, cache, query)
    before = [ask() for ask in asks * 2]
    assert "new" not in before
    with blog.engine.begin() as connection:
        connection.exec_driver_sql(RETITLING)
    assert [str(ask()).strip("()") for ask in asks * 2] == ["new"] * 4


def test_hole_08_what_runs_nothing_is_kept(empty: Blog, cache: YokedCache) -> None:
    blog = _made(empty, (*READING, "CREATE TABLE apart (id int, n int)"))
    asks = _asked(blog, cache, NAME)
    assert [ask() for ask in asks] == ["ann", "ann"]
    with blog.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO apart VALUES (1, 1)")
    with blog.counted() as sent:
        assert [ask() for ask in asks] == ["ann", "ann"]
    assert sent == []


def test_hole_08_why_it_is_not_kept(empty: Blog, cache: YokedCache) -> None:
    blog = _made(empty, READING)
    _, asked = _asked(blog, cache, READERS["an attribute"])
    asked()
    assert cache.stats().total.refusals == {"unknown_function:tname": 1}


def test_hole_08_an_operator_that_comes_later(empty: Blog, cache: YokedCache) -> None:
    query = text("SELECT tname FROM (SELECT name AS tname FROM users WHERE id = 1) u")
    asks = _asked(empty, cache, query)
    assert [ask() for ask in asks * 2] == ["ann"] * 4
    blog = _made(empty, READING)
    with blog.counted() as sent:
        assert [ask() for ask in asks * 2] == ["ann"] * 4
    assert len(sent) == 4


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_hole_08_without_a_call_for_async_sessions(
    postgres_database: PostgresDatabase, cache: YokedCache, driver: str
) -> None:
    async with async_blog_at(postgres_database.url(driver)) as blog:
        async with blog.engine.begin() as connection:
            for statement in (*READING, *WRITING[1:3]):
                await connection.exec_driver_sql(statement)
        maker = blog.attached(cache)

        async def asked(query: Any) -> Any:
            async with maker() as session:
                return await session.scalar(query)

        queries = [NAME, READERS["an attribute"], READERS["an operator of the ORM's"]]
        for _ in range(2):
            assert (await asked(NAME)) == "ann"
            assert "new" not in [await asked(query) for query in queries[1:]]
        async with AsyncSession(blog.engine) as session:
            await session.execute(text(RETITLING))
            await session.execute(select(literal(1).op("##>")(2)))
            await session.commit()
        for _ in range(2):
            assert [await asked(query) for query in queries] == ["new"] * 3

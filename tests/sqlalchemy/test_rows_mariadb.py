"""
Recordings of MariaDB's rows, of every type, through each driver: equal when played.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Integer,
    MetaData,
    Table,
    create_engine,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.support.databases import STATEMENT_LEVEL
from yokedcache.codec.msgpack import MessagePackCodec
from yokedcache.sqlalchemy.answers.rows import Recording, record

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tests.services import MariaDBDatabase
    from yokedcache import YokedCache

TYPES = """
CREATE TABLE kinds (
    id int PRIMARY KEY, tiny tinyint, flag bool, big bigint unsigned,
    exact decimal(65, 30), near float, nearer double, bits bit(10), one_bit bit(1),
    day date, moment datetime(6), stamp timestamp(3) NULL, span time(6), year year,
    fixed char(5), words varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    prose longtext, octets varbinary(20), blob_ longblob, one enum('a', 'b'),
    several set('x', 'y', 'z'), document json, address inet6, number uuid, place point)
"""
FULL: dict[str, Any] = {
    "id": 1, "tiny": -128, "flag": 1, "big": 2**64 - 1,
    "exact": Decimal("-12345678901234567890.000000000000000000000000000001"),
    "near": 0.5, "nearer": 1e300, "bits": 0b1000000001, "one_bit": 1,
    "day": dt.date(1000, 1, 1), "moment": "9999-12-31 23:59:59.999999",
    "stamp": "2026-11-25 01:02:03.004", "span": "-838:59:58.999999",
    "year": 2155, "fixed": "é", "words": "snow ☃ 🂡", "prose": "x" * 5000,
    "octets": b"\x00\xff'\\", "blob_": bytes(range(256)), "one": "b", "several": "x,z",
    "document": '{"a": [1, null, "ü"]}', "address": "::ffff:1.2.3.4",
    "number": "123e4567-e89b-12d3-a456-426614174000",
}  # fmt: skip
QUERIES: dict[str, Any] = {
    "raw": text("SELECT * FROM kinds ORDER BY id"),
    "computed": text(
        "SELECT CAST(NULL AS char), 1 = 1, 7 DIV 2, 7 / 2, x'4142', SEC_TO_TIME(-3661),"
        " JSON_ARRAY(1, 'a'), GROUP_CONCAT(words), ST_AsText(place), COUNT(*), AVG(tiny),"
        " CAST('2026-02-03' AS date), CAST('0000-00-00' AS date), INET6_ATON('::1')"
        " FROM kinds"
    ),
    "none": text("SELECT * FROM kinds WHERE id > 100"),
}


KINDS = Table(
    "kinds",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("tiny", mysql.TINYINT),
    Column("flag", Boolean),
    Column("big", mysql.BIGINT(unsigned=True)),
    Column("exact", mysql.DECIMAL(65, 30)),
    Column("near", mysql.FLOAT),
    Column("nearer", mysql.DOUBLE),
    Column("bits", mysql.BIT(10)),
    Column("one_bit", mysql.BIT(1)),
    Column("day", Date),
    Column("moment", mysql.DATETIME(fsp=6)),
    Column("stamp", mysql.TIMESTAMP(fsp=3)),
    Column("span", mysql.TIME(fsp=6)),
    Column("year", mysql.YEAR),
    Column("fixed", mysql.CHAR(5)),
    Column("words", mysql.VARCHAR(50)),
    Column("prose", mysql.LONGTEXT),
    Column("octets", mysql.VARBINARY(20)),
    Column("blob_", mysql.LONGBLOB),
    Column("one", mysql.ENUM("a", "b")),
    Column("several", mysql.SET("x", "y", "z")),
    Column("document", JSON),
)
TYPED = select(
    *KINDS.c,
    KINDS.c.document["a"][0].label("part"),
    KINDS.c.day.cast(mysql.DATETIME(fsp=3)).label("midnight"),
).order_by(KINDS.c.id)
QUERIES["typed"] = TYPED.where(KINDS.c.span > dt.timedelta(days=-9))


def fill(connection: Connection) -> None:
    connection.exec_driver_sql(TYPES)
    columns = ", ".join(FULL)
    values = ", ".join(
        f"x'{value.hex()}'" if isinstance(value, bytes) else f":{name}"
        for name, value in FULL.items()
    )
    given = {key: value for key, value in FULL.items() if type(value) is not bytes}
    connection.execute(
        text(f"INSERT INTO kinds ({columns}, place) VALUES ({values}, POINT(1, 2))"),
        given,
    )
    connection.execute(text("INSERT INTO kinds (id, span, year) VALUES (2, 0, 0)"))


def seen(rows: Any) -> list[tuple[Any, ...]]:
    return [tuple((type(cell), cell) for cell in row) for row in rows]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("dialect", ["mysql", "mariadb"])
def test_rows_from_the_cache_are_the_drivers(
    mariadb_database: MariaDBDatabase, cache: YokedCache, dialect: str, query: str
) -> None:
    url = mariadb_database.url("pymysql", dialect)
    engine = create_engine(url, **STATEMENT_LEVEL)
    with engine.begin() as connection:
        fill(connection)
        statement = QUERIES[query]
        plain = seen(connection.execute(statement))
    maker = sessionmaker(engine)
    cache.attach(maker)
    for _ in range(3):
        with maker() as session:
            result = session.execute(statement)
            keys = list(result.keys())
            assert seen(result) == plain
    assert len(keys) == len(plain[0]) if plain else keys
    assert cache.stats().total.hits == 2
    engine.dispose()


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
async def test_rows_from_the_cache_are_the_async_drivers(
    mariadb_database: MariaDBDatabase, cache: YokedCache, driver: str, query: str
) -> None:
    engine = create_async_engine(mariadb_database.url(driver), **STATEMENT_LEVEL)
    async with engine.begin() as connection:
        await connection.run_sync(fill)
        statement = QUERIES[query]
        plain = seen(await connection.execute(statement))
    maker = async_sessionmaker(engine)
    cache.attach(maker)
    for _ in range(3):
        async with maker() as session:
            assert seen(await session.execute(statement)) == plain
    assert cache.stats().total.hits == 2
    await engine.dispose()


def test_recordings_survive_their_bytes(mariadb_database: MariaDBDatabase) -> None:
    engine = create_engine(mariadb_database.url("pymysql"), **STATEMENT_LEVEL)
    codec = MessagePackCodec()
    with engine.begin() as connection:
        fill(connection)
        for query in QUERIES.values():
            kept: list[Recording] = []
            result = connection.execute(query)
            record(result, on_complete=kept.append, on_abandon=pytest.fail).all()
            back: Any = codec.decode(codec.encode(kept[0].packed()))
            again = Recording.unpacked(back)
            assert seen(again.rows) == seen(kept[0].rows)
            assert again.description == kept[0].description
    engine.dispose()


def test_an_inserted_row_is_read_as_it_was_stored(
    mariadb_database: MariaDBDatabase, cache: YokedCache
) -> None:
    engine = create_engine(mariadb_database.url("pymysql"), **STATEMENT_LEVEL)
    with engine.begin() as connection:
        fill(connection)
    maker = sessionmaker(engine)
    cache.attach(maker)
    query = select(KINDS.c.span, KINDS.c.exact, KINDS.c.several).where(KINDS.c.id == 3)
    with maker() as session:
        assert session.execute(query).all() == []
    with maker.begin() as session:
        values = {"span": dt.timedelta(hours=1), "exact": Decimal("0.1")}
        session.execute(insert(KINDS).values(id=3, several={"y", "x"}, **values))
    for _ in range(2):
        with maker() as session:
            assert session.execute(query).one() == (
                dt.time(1),
                Decimal("0.1"),
                {"x", "y"},
            )
    engine.dispose()

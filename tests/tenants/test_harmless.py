"""
Listeners that change no answers keep nobody from the cache.

The real packages where there are some, and code as people write it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from pgvector.psycopg import register_vector
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.tenants.places import async_engine
from yokedcache.sqlalchemy.contexts.judging import begins, observes, prepares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.tenants.places import Place
    from yokedcache import YokedCache


def hits(place: Place, engine: Engine, cache: YokedCache) -> int:
    sessions = cache.attach(sessionmaker(engine))
    for _ in range(3):
        with sessions() as session:
            session.scalars(place.query).all()
    return cache.stats().total.hits


@pytest.fixture
def traced(place: Place) -> Iterator[Engine]:
    engine = place.engine()
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(
        engine=engine,
        tracer_provider=TracerProvider(),
        enable_commenter=True,
        skip_dep_check=True,  # it has not heard of SQLAlchemy 2.1
    )
    yield engine
    instrumentor.uninstrument()


def test_tracing_with_comments_is_cached(
    place: Place, traced: Engine, cache: YokedCache
) -> None:
    sent: list[str] = []

    @event.listens_for(traced, "after_cursor_execute")
    def note(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    assert hits(place, traced, cache) == 2
    assert any("traceparent" in statement for statement in sent)
    with sessionmaker(traced).begin() as session:
        session.execute(place.write)
    with sessionmaker(traced)() as session:
        truth = session.scalars(place.query).all()
    attached = cache.attach(sessionmaker(traced))
    with attached() as session:
        assert session.scalars(place.query).all() == truth
    assert cache.stats().total.hits == 2


def test_registered_types_are_cached(place: Place, cache: YokedCache) -> None:
    if place.sqlite:
        return
    with place.admin.begin() as connection:
        connection.exec_driver_sql("CREATE DOMAIN vector AS text")
    engine = place.engine()

    @event.listens_for(engine, "connect")
    def register(connection: psycopg.Connection[Any], _record: Any) -> None:
        register_vector(connection)

    assert hits(place, engine, cache) == 2


async def test_registered_types_are_cached_on_the_event_loop(
    place: Place, cache: YokedCache
) -> None:
    if place.sqlite:
        return
    engine = async_engine(place)

    @event.listens_for(engine.sync_engine, "connect")
    def register(connection: Any, _record: Any) -> None:
        connection.run_async(
            lambda driver: driver.set_type_codec(
                "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
        )

    sessions = cache.attach(async_sessionmaker(engine))
    for _ in range(3):
        async with sessions() as session:
            await session.scalars(place.query)
    assert cache.stats().total.hits == 2
    await engine.dispose()


def pragma(connection: Any, _record: Any) -> None:
    """
    Set what SQLite needs, as SQLAlchemy's documentation does it.
    """
    before = connection.autocommit
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()
    connection.autocommit = before


def pragma_if_sqlite(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = NORMAL").close()


def no_begin(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def vector_if_there(connection: Any, _record: Any) -> None:
    from pgvector.psycopg import register_vector as register

    register(connection)


def loader(connection: Any, _record: Any) -> None:
    connection.adapters.register_loader("json", psycopg.types.json.JsonLoader)


PATH = "app"


def search_path(connection: Any, _record: Any) -> None:
    connection.cursor().execute("SET search_path = app")


def by_global(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA {PATH} = 1")


def some_function(connection: Any, _record: Any) -> None:
    connection.create_function("upper", 1, str)


def helper(connection: Any, _record: Any) -> None:
    pragma(connection, _record)


def enclosed(name: str) -> Any:
    def enter(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA a = 1" if name else "PRAGMA a = 2")

    return enter


@pytest.mark.parametrize(
    "listener", [pragma, pragma_if_sqlite, no_begin, vector_if_there]
)
def test_connect_listeners_that_change_no_answers(listener: Any) -> None:
    assert prepares(listener)


@pytest.mark.parametrize(
    "listener",
    [search_path, by_global, some_function, helper, enclosed("a"), print, loader],
)
def test_connect_listeners_that_may(listener: Any) -> None:
    assert not prepares(listener)


def timer(  # noqa: PLR0917 - as SQLAlchemy calls it
    conn: Any, cursor: Any, statement: Any, params: Any, context: Any, many: Any
) -> None:
    conn.info.setdefault("began", []).append(time.time())
    context.began = time.time()
    _ = cursor.rowcount, statement, params


class Count:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def note(self, _c: Any, _k: Any, statement: str, *_: Any) -> None:
        self.sent.append(statement)


def by_place(*args: Any) -> str:
    return str(args[2])


def runs(_c: Any, cursor: Any, *_: Any) -> None:
    cursor.execute("SET x = 1")


def hands_on(conn: Any, cursor: Any, *rest: Any) -> None:
    runs(conn, cursor, *rest)


def by_context(_c: Any, _k: Any, _s: Any, _p: Any, context: Any, _m: Any) -> None:
    context.cursor.execute("SET x = 1")


def by_number(*args: Any) -> None:
    args[1].execute("SET x = 1")


def all_of_them(*args: Any) -> None:
    runs(*args)


def inside(_c: Any, cursor: Any, *_: Any) -> Any:
    return lambda: cursor.execute("SET x = 1")


@pytest.mark.parametrize("listener", [timer, Count().note, by_place, lambda *a: a[2]])
def test_cursor_listeners_that_only_watch(listener: Any) -> None:
    assert observes(listener)


@pytest.mark.parametrize(
    "listener", [runs, hands_on, by_context, by_number, all_of_them, inside, print]
)
def test_cursor_listeners_that_may_do_more(listener: Any) -> None:
    assert not observes(listener)


def sends_begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def sends_more(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN; SET ROLE x")


def test_listeners_that_send_begin() -> None:
    assert begins(sends_begin)
    assert not begins(sends_more)


def test_engines_with_harmless_listeners_share_no_answers(
    place: Place, cache: YokedCache
) -> None:
    if not place.sqlite:
        return
    from sqlalchemy import select

    from tests.tenants.places import Secret

    strict = create_engine(place.url)

    @event.listens_for(strict, "connect")
    def tell_case(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA case_sensitive_like = ON")

    query = select(Secret.owner).where(Secret.owner.like("A%"))
    loose = cache.attach(sessionmaker(place.engine()))
    exact = cache.attach(sessionmaker(strict))
    for _ in range(3):
        with loose() as session:
            assert session.scalars(query).all() == ["a"]
        with exact() as session:
            assert session.scalars(query).all() == []
    assert cache.stats().total.hits == 4
    strict.dispose()


async def test_listeners_of_async_engines_count(
    place: Place, cache: YokedCache
) -> None:
    engine = create_async_engine(async_engine(place).url)

    @event.listens_for(engine.sync_engine, "checkout")
    def enter(connection: Any, *_: Any) -> None:
        place.become(connection, "a")

    sessions = cache.attach(async_sessionmaker(engine))
    for _ in range(2):
        async with sessions() as session:
            assert await session.scalar(place.query) == "secret of a"
    assert cache.stats().total.bypasses == {"listeners": 2}
    cache.attach(sessions, vary=lambda session: session.info["name"])
    for _ in range(2):
        async with sessions(info={"name": "a"}) as session:
            assert await session.scalar(place.query) == "secret of a"
    assert cache.stats().total.hits == 1
    await engine.dispose()

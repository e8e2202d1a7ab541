"""
Hole 11 for SQLite in memory: one database by whatever way it is reached, or several.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, StaticPool, create_engine, event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.support.databases import Blog
from tests.support.models import User

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from yokedcache import YokedCache

NAME = select(User.name).where(User.id == 1)
SHARED = "file:blog?mode=memory&cache=shared"
MEMDB = pytest.mark.skipif(
    sqlite3.sqlite_version_info < (3, 36), reason="memdb names no databases here"
)


def engine_at(uri: str, **options: Any) -> Engine:
    options.setdefault("poolclass", StaticPool)
    mark = "&" if "?" in uri else "?"
    return create_engine(
        f"sqlite:///{uri}{mark}uri=true",
        connect_args={"check_same_thread": False},
        **options,
    )


def made_by_the_app(uri: str) -> Engine:
    def make() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, check_same_thread=False)

    return create_engine("sqlite://", creator=make, poolclass=StaticPool)


def sent_elsewhere(uri: str) -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: list[Any], kw: Any) -> None:
        args[0] = uri
        kw["uri"] = True

    return engine


@pytest.fixture
def engines() -> Iterator[list[Engine]]:
    made: list[Engine] = []
    yield made
    for engine in made:
        engine.dispose()


def asked(maker: Any) -> Any:
    with maker() as session:
        return session.scalars(NAME).one()


def rename(engine: Engine, to: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE users SET name = :to WHERE id = 1"), {"to": to})


def hear_each_other(cache: YokedCache, one: Engine, other: Engine) -> None:
    Blog(one)
    makers = [cache.attach(sessionmaker(each), vary=None) for each in (one, other)]
    for number, writer in enumerate((one, other, one)):
        name = f"name {number}"
        rename(writer, name)
        assert [asked(maker) for maker in makers * 2] == [name] * 4
    assert cache.stats().total.hits == 6


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        pytest.param(SHARED, SHARED, id="one_uri"),
        pytest.param(SHARED, "file:blog?cache=shared&mode=memory", id="order"),
        pytest.param(SHARED, "file:bl%6Fg?mode=memory&cache=shared", id="encoded"),
        pytest.param(SHARED, f"{SHARED}&x=1", id="more_words"),
        pytest.param(
            "file:/blog?mode=memory&cache=shared",
            "file://localhost/blog?mode=memory&cache=shared",
            id="authority",
        ),
        pytest.param(
            "file::memory:?cache=shared", "file:%3Amemory:?cache=shared", id="nameless"
        ),
        pytest.param(
            "file:/blog?vfs=memdb", "file:///bl%6Fg?vfs=memdb", id="memdb", marks=MEMDB
        ),
    ],
)
def test_hole_11_two_engines_of_one_database_in_memory(
    cache: YokedCache, engines: list[Engine], uri: str, other: str
) -> None:
    engines += [engine_at(uri), engine_at(other)]
    hear_each_other(cache, *engines)


@pytest.mark.parametrize(
    "uri", [SHARED, pytest.param("file:/b?vfs=memdb", marks=MEMDB)]
)
@pytest.mark.parametrize("make", [made_by_the_app, sent_elsewhere])
def test_hole_11_a_database_in_memory_that_the_app_opens(
    cache: YokedCache, engines: list[Engine], make: Any, uri: str
) -> None:
    engines += [engine_at(uri), make(uri)]
    hear_each_other(cache, *engines)


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # the blocking one is used in the loop
async def test_hole_11_a_blocking_and_an_async_driver_in_memory(
    cache: YokedCache, engines: list[Engine]
) -> None:
    engines.append(engine_at(SHARED))
    maker = Blog(engines[0]).attached(cache)
    other = create_async_engine(
        f"sqlite+aiosqlite:///{SHARED}&uri=true", poolclass=StaticPool
    )
    assert [asked(maker) for _ in range(2)] == ["ann"] * 2
    async with other.begin() as connection:
        await connection.execute(text("UPDATE users SET name = 'new' WHERE id = 1"))
    assert asked(maker) == "new"
    await other.dispose()


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        pytest.param(SHARED, "file:BLOG?mode=memory&cache=shared", id="case"),
        pytest.param("file:blog?mode=memory", "file:blog?mode=memory", id="private"),
        pytest.param("file::memory:", "file::memory:", id="nameless"),
        pytest.param(
            "file:blog?vfs=memdb", "file:blog?vfs=memdb", id="memdb", marks=MEMDB
        ),
    ],
)
def test_hole_11_two_databases_in_memory_share_no_answers(
    cache: YokedCache, engines: list[Engine], uri: str, other: str
) -> None:
    engines += [engine_at(uri), engine_at(other)]
    makers = [Blog(engine).attached(cache) for engine in engines]
    rename(engines[1], "other")
    for _ in range(2):
        assert [asked(maker) for maker in makers] == ["ann", "other"]
    assert cache.stats().total.hits == 2


@MEMDB
def test_hole_11_a_memory_named_like_a_file_is_not_the_file(
    cache: YokedCache, engines: list[Engine], tmp_path: Path
) -> None:
    file = tmp_path / "blog.db"
    engines += [create_engine(f"sqlite:///{file}"), engine_at(f"file:{file}?vfs=memdb")]
    makers = [Blog(engine).attached(cache) for engine in engines]
    rename(engines[1], "memory")
    for _ in range(2):
        assert [asked(maker) for maker in makers] == ["ann", "memory"]


@pytest.mark.parametrize("where", ["memory", "file"])
def test_hole_11_what_a_shared_cache_shows_uncommitted_is_not_stored(
    cache: YokedCache, engines: list[Engine], tmp_path: Path, where: str
) -> None:
    uri = SHARED if where == "memory" else f"file:{tmp_path}/blog.db?cache=shared"
    engines += [engine_at(uri), engine_at(uri)]
    Blog(engines[0])

    @event.listens_for(engines[1], "connect")
    def look_under(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA read_uncommitted = 1")

    maker = cache.attach(sessionmaker(engines[1]))
    with engines[0].connect() as writer:
        writer.execute(text("UPDATE users SET name = 'dirty'"))
        assert asked(maker) == "dirty"
        writer.rollback()
    assert asked(maker) == "ann"
    assert set(cache.stats().total.refusals) == {"read_uncommitted"}


def test_hole_11_a_database_in_memory_ends_with_its_pool(
    cache: YokedCache, engines: list[Engine]
) -> None:
    engines.append(engine_at(SHARED))
    maker = Blog(engines[0]).attached(cache)
    assert [asked(maker) for _ in range(2)] == ["ann"] * 2
    engines[0].dispose()
    with pytest.raises(OperationalError, match="no such table"):
        asked(maker)


def test_hole_11_a_file_that_is_replaced_under_a_disposed_engine(
    cache: YokedCache, engines: list[Engine], tmp_path: Path
) -> None:
    engines += [create_engine(f"sqlite:///{tmp_path}/{each}.db") for each in "ab"]
    maker = Blog(engines[0]).attached(cache)
    Blog(engines[1])
    rename(engines[1], "restored")
    for engine in engines:
        engine.dispose()
    assert [asked(maker) for _ in range(2)] == ["ann"] * 2
    engines[0].dispose()
    (tmp_path / "b.db").replace(tmp_path / "a.db")
    assert asked(maker) == "restored"


def test_hole_11_a_disposed_engine_is_served_again_once_it_has_looked(
    cache: YokedCache, engines: list[Engine], tmp_path: Path
) -> None:
    engines.append(create_engine(f"sqlite:///{tmp_path}/a.db"))
    maker = Blog(engines[0]).attached(cache)
    other = sessionmaker(engines[0])
    cache.attach(other)
    assert [asked(maker) for _ in range(2)] == ["ann"] * 2
    engines[0].dispose()
    assert [asked(maker) for _ in range(2)] == ["ann"] * 2
    assert cache.stats().total.hits == 2

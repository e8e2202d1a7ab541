"""
Calls of a function on two databases are two calls, however the database is handed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, close_all_sessions, sessionmaker

from tests.support.databases import blog_at, sqlite_file
from tests.support.models import User
from yokedcache import YokedCache, cached
from yokedcache.sqlalchemy.functions.reaching import MOST, reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.databases import Blog

NAMES = select(User.name).order_by(User.id)


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[list[Engine]]:
    """
    Give two databases with other users in them.
    """
    with (
        blog_at(f"sqlite:///{_file(tmp_path, 'a')}") as one,
        blog_at(f"sqlite:///{_file(tmp_path, 'b')}") as other,
    ):
        with other.sessions.begin() as session:
            session.add(User(id=9, name="zoe"))
        yield [one.engine, other.engine]


def _file(place: Path, name: str) -> str:
    (place / name).mkdir()
    return sqlite_file(place / name)


@dataclass
class Repository:
    session: Any


class Named:
    def __init__(self, session: Any) -> None:
        self.session = session

    def __cache_key__(self) -> str:
        return "repository"


@dataclass
class Service:
    users: Any


def _count(means: Any) -> int:
    if isinstance(means, Service):
        means = means.users
    if isinstance(means, (Repository, Named)):
        means = means.session
    if isinstance(means, (list, dict)):
        means = means[0]
    if isinstance(means, sessionmaker):
        with means() as session:
            return _count(session)
    if isinstance(means, Engine):
        with Session(means) as session:
            return _count(session)
    count: int = means.execute(select(func.count()).select_from(User)).scalar()
    return count


WAYS: dict[str, Callable[[Engine], Any]] = {
    "engine": lambda engine: engine,
    "connection": lambda engine: engine.connect(),
    "session": Session,
    "maker": sessionmaker,
    "maker of several": lambda engine: sessionmaker(binds={User: engine}),
    "in a list": lambda engine: [engine],
    "in a dictionary": lambda engine: {0: engine},
    "in a record": lambda engine: Repository(Session(engine)),
    "in a record of a record": lambda engine: Service(Repository(Session(engine))),
    "behind a key of its own": lambda engine: Service(Named(Session(engine))),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("keyed", [False, True])
def test_a_function_tells_databases_apart(
    engines: list[Engine], cache: YokedCache, way: str, *, keyed: bool
) -> None:
    options: dict[str, Any] = {"key": "count"} if keyed else {}
    count = cached(cache=cache, ttl=60, **options)(_count)
    for expected in ([3, 4], [3, 4]):
        handed = [WAYS[way](engine) for engine in engines]
        assert [count(means) for means in handed] == expected
        for means in handed:
            if isinstance(means, Connection):
                means.close()
        close_all_sessions()
    assert cache.sync.stats().total.loads == 2


def test_which_database_is_which_argument_counts(
    engines: list[Engine], cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    def counts(one: Engine, other: Engine, third: Engine) -> list[int]:
        return [_count(one), _count(other), _count(third)]

    one, other = engines
    assert counts(one, other, one) == [3, 4, 3]
    assert counts(one, other, other) == [3, 4, 4]
    assert counts(other, one, other) == [4, 3, 4]


@pytest.mark.anyio
async def test_async_means_tell_databases_apart(
    engines: list[Engine], cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    async def count(means: Any) -> int:
        if isinstance(means, async_sessionmaker):
            async with means() as session:
                return await count.uncached(session)
        if not isinstance(means, AsyncSession):
            async with AsyncSession(means) as session:
                return await count.uncached(session)
        found: int = await means.scalar(select(func.count()).select_from(User))
        return found

    made = [
        create_async_engine(e.url.set(drivername="sqlite+aiosqlite")) for e in engines
    ]
    for _ in range(2):
        assert [await count(engine) for engine in made] == [3, 4]
        assert [await count(async_sessionmaker(engine)) for engine in made] == [3, 4]
    for engine in made:
        async with engine.connect() as connection:
            await count(connection)
        await engine.dispose()


@pytest.mark.parametrize("blog", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_a_function_handed_a_connection_is_fresh_after_a_commit(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    def names(connection: Connection) -> list[str]:
        return list(connection.scalars(NAMES))

    with blog.engine.connect() as connection:
        assert names(connection) == names(connection) == ["ann", "bob", "eve"]
        connection.rollback()
        with blog.sessions.begin() as session:
            session.get_one(User, 1).name = "amy"
        assert names(connection) == ["amy", "bob", "eve"]


@pytest.mark.parametrize("blog", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_a_connection_that_wrote_is_not_answered(blog: Blog, cache: YokedCache) -> None:
    @cached(cache=cache, ttl=60)
    def names(connection: Connection) -> list[str]:
        return list(connection.scalars(NAMES))

    with blog.engine.connect() as connection:
        names(connection)
        connection.execute(text("UPDATE users SET name = 'amy' WHERE id = 1"))
        assert names(connection) == ["amy", "bob", "eve"]
        connection.rollback()
        assert names(connection) == ["ann", "bob", "eve"]


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "setting",
    [
        "SET search_path = other",
        "UPDATE pg_settings SET setting = 'other' WHERE name = 'search_path'",
        "UPDATE pg_catalog.pg_settings SET setting = 'other' WHERE name ~ 'h_path'",
    ],
)
def test_a_connection_with_settings_is_not_answered(
    blog: Blog, cache: YokedCache, setting: str
) -> None:
    @cached(cache=cache, ttl=60)
    def names(connection: Connection) -> list[str]:
        return list(connection.execute(text("SELECT name FROM users")).scalars())

    with blog.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA other"))
        connection.execute(text("CREATE TABLE other.users AS SELECT 'zoe' AS name"))
    with blog.engine.connect() as connection:
        names(connection)
        assert sorted(names(connection)) == ["ann", "bob", "eve"]
        connection.execute(text(setting))
        assert names(connection) == ["zoe"]


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
def test_an_update_of_the_settings_is_seen_by_a_session(
    blog: Blog, cache: YokedCache
) -> None:
    change = "UPDATE pg_settings SET setting = 'Asia/Tokyo' WHERE name = 'TimeZone'"
    with blog.attached(cache)() as session:
        session.execute(text(change)).all()
        session.commit()
        session.scalars(NAMES).all()
    assert cache.sync.stats().total.bypasses["context"] == 1


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
def test_a_connection_sees_its_snapshot(blog: Blog, cache: YokedCache) -> None:
    @cached(cache=cache, ttl=60)
    def names(connection: Connection) -> list[str]:
        return list(connection.scalars(NAMES))

    engine = blog.engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as one, engine.connect() as other:
        one.execute(select(1)).scalar()  # makes its snapshot
        with blog.sessions.begin() as session:
            session.get_one(User, 1).name = "amy"
        assert names(other) == ["amy", "bob", "eve"]
        assert names(one) == ["ann", "bob", "eve"]
        assert names(other) == ["amy", "bob", "eve"]


@pytest.mark.parametrize("bound", [False, True])
def test_a_session_that_chooses_its_database_is_asked_for_it(
    engines: list[Engine], cache: YokedCache, *, bound: bool
) -> None:
    chosen = 0

    class Routed(Session):
        def get_bind(self, *_: Any, **__: Any) -> Engine:
            return engines[chosen]

    count = cached(cache=cache, ttl=60)(_count)
    for chosen in (0, 1, 0, 1):
        with Routed(engines[0] if bound else None) as session:
            assert count(session) == 3 + chosen
    assert cache.sync.stats().total.loads == 2


def test_a_session_that_does_not_say_which_database_is_not_answered(
    engines: list[Engine], cache: YokedCache
) -> None:
    class Routed(Session):
        def get_bind(self, mapper: Any = None, **_: Any) -> Engine:
            return engines[len(mapper.class_.__name__) - len("User")]

    @cached(cache=cache, ttl=60)
    def first(session: Session) -> str:
        return session.get_one(User, 1).name

    for _ in range(2):
        with Routed() as session:
            assert first(session) == "ann"
    assert cache.sync.stats().total.bypasses == {"unknown_database": 2}


class _Proxy:
    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        msg = "nothing is bound here"
        raise RuntimeError(msg)

    def __cache_key__(self) -> str:
        return "proxy"


@pytest.mark.parametrize("value", [_Proxy(), [[] for _ in range(MOST + 1)]])
def test_what_can_not_be_searched_is_not_answered(
    cache: YokedCache, value: Any
) -> None:
    calls: list[int] = []
    plain: Any = lambda given: calls.append(1)  # noqa: E731
    call = cached(cache=cache, ttl=60, key="one")(plain)

    call(value)
    call(value)

    assert len(calls) == 2
    assert cache.sync.stats().total.bypasses == {"unsearchable_argument": 2}


def test_circles_end() -> None:
    circle: list[Any] = []
    circle.append(circle)
    engine = create_engine("sqlite://")
    assert reach([circle, {1: circle}, engine]).means == [engine]


def test_an_object_without_a_session_is_noticed_inside_others(
    engines: list[Engine], cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60, key="one")
    def name(service: Service) -> str:
        found: str = service.users[0].name
        return found

    with Session(engines[0]) as session:
        user = session.get_one(User, 1)
    name(Service([user]))
    assert cache.sync.stats().total.refusals == {"detached_argument": 1}

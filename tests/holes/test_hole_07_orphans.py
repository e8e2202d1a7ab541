"""
Hole 7: a fence whose connection is lost ends by proof, never by time alone.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from tests.holes.asking import Asker
from tests.holes.losing import Failing, is_uncached
from tests.holes.stalling import STALLING, cut, process_of, server_of
from tests.support.databases import twin
from tests.support.held import until
from tests.support.looking import RENAMING, RENAMING_TEXT, name, rename
from yokedcache import YokedCache
from yokedcache.sqlalchemy.transactions import orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    from tests.holes.stalling import Server
    from tests.services.mariadb import MariaDBDatabase
    from tests.services.postgres import PostgresDatabase
    from tests.support.databases import Blog

pytestmark = pytest.mark.parametrize("blog", ["postgresql", "mariadb"], indirect=True)

MANY_GRACES = {"postgresql": 1.5, "mariadb": 0.3}
"""Seconds; MariaDB looks once a second whether who waits has gone."""


@pytest.fixture
def short() -> Iterator[YokedCache]:
    made = YokedCache(jitter=0, orphan_grace="100ms")
    yield made
    made.sync.close()


@pytest.fixture
def patient() -> Iterator[YokedCache]:
    made = YokedCache(jitter=0, orphan_grace="10m")
    yield made
    made.sync.close()


@pytest.fixture
def server(blog: Blog) -> Iterator[Server]:
    if blog.engine.dialect.name == "postgresql":
        with blog.engine.begin() as connection:
            for statement in STALLING:
                connection.exec_driver_sql(statement)
    with server_of(blog.engine) as made:
        yield made


def ends(connection: Connection) -> None:
    connection.commit()


def ends_by_text(connection: Connection) -> None:
    connection.execute(text("COMMIT"))


def lose(engine: Engine, server: Server, end: Callable[[Connection], Any]) -> None:
    """
    Lose the connection of a commit that the server goes on with.
    """
    with engine.connect() as connection:
        connection.execute(RENAMING)
        server.hold()
        commit = Failing(lambda: end(connection))
        until(server.is_waiting)
        cut(connection)
        commit.end()


def kill(engine: Engine, server: Server) -> None:
    """
    Lose the connection of a commit together with the server's side of it.
    """
    with engine.connect() as connection:
        connection.execute(RENAMING)
        server.kill(process_of(connection))
        with pytest.raises(DBAPIError):
            connection.commit()


def watching(engine: Engine) -> bool:
    return engine.pool in orphans._watchers


def fill_while_it_is_held(blog: Blog, server: Server, ask: Asker) -> None:
    """
    Read beyond the grace period, and until the commit has come through.
    """
    end = time.monotonic() + MANY_GRACES[blog.engine.dialect.name]
    while time.monotonic() < end:
        assert ask() == {"ann"}
    assert server.is_waiting()
    server.let_go()
    committed = "ann"
    while committed == "ann":
        committed = server.name()
        assert ask() <= {"new", committed}
    for _ in range(20):
        assert ask() == {"new"}


@pytest.mark.parametrize("end", [ends, ends_by_text])
def test_hole_07_a_commit_that_outlives_the_grace(
    blog: Blog, short: YokedCache, server: Server, end: Callable[[Connection], Any]
) -> None:
    ask = Asker(blog, short)
    lose(blog.engine, server, end)
    fill_while_it_is_held(blog, server, ask)
    until(lambda: not is_uncached(blog, ask))
    assert ask.served() == {"new"}
    until(lambda: not watching(blog.engine))


def test_hole_07_a_statement_that_outlives_the_grace(
    blog: Blog, short: YokedCache, server: Server
) -> None:
    ask = Asker(blog, short)
    automatic = blog.engine.execution_options(isolation_level="AUTOCOMMIT")
    with automatic.connect() as connection:
        server.hold()
        statement = Failing(lambda: connection.exec_driver_sql(RENAMING_TEXT))
        until(server.is_waiting)
        cut(connection)
        statement.end()
    fill_while_it_is_held(blog, server, ask)


def test_hole_07_a_backend_that_is_gone_is_noticed_long_before_the_grace_ends(
    blog: Blog, patient: YokedCache, server: Server, said: pytest.LogCaptureFixture
) -> None:
    ask = Asker(blog, patient)
    kill(blog.engine, server)
    until(lambda: not is_uncached(blog, ask))
    assert ask.served() == {"ann"}
    assert said.text.count("its outcome is unknown") == 1
    assert "until the server says that it is over" in said.text
    until(lambda: not watching(blog.engine))
    assert "couldn't be asked" not in said.text


def test_hole_07_a_connection_that_had_left_its_pool(
    blog: Blog, patient: YokedCache, server: Server
) -> None:
    ask = Asker(blog, patient)
    with blog.engine.connect() as connection:
        connection.detach()
        connection.execute(RENAMING)
        server.kill(process_of(connection))
        with pytest.raises(DBAPIError):
            connection.commit()
    until(lambda: not is_uncached(blog, ask))
    assert ask.served() == {"ann"}


def test_hole_07_the_server_is_asked_as_the_engine_connects_and_out_of_no_pool(
    blog: Blog, patient: YokedCache, server: Server
) -> None:
    """
    And asking bumps nothing.
    """
    ask = Asker(blog, patient)
    engine = twin(blog.engine, pool_size=1, max_overflow=0)
    asked: list[Any] = []

    @event.listens_for(engine, "do_connect")
    def note(_d: Any, record: Any, _a: Any, _p: Any) -> None:
        asked.append(record.info)

    lose(engine, server, ends)
    tags = patient.machine.store.tags
    with engine.connect():
        if engine.dialect.name == "postgresql":  # MariaDB gives up within a second
            before, seen = tags.counter, len(asked)
            until(lambda: len(asked) >= seen + 3)
            assert tags.counter == before
    server.let_go()
    until(lambda: not is_uncached(blog, ask))
    assert ask.served() == {server.name()}
    assert len(asked) >= 3  # two of the test's own
    engine.dispose()


def test_hole_07_a_fence_stays_where_nobody_can_be_sent_to_ask(
    blog: Blog, short: YokedCache, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    ask = Asker(blog, short)
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", refuse)
        kill(blog.engine, server)
    assert not watching(blog.engine)
    assert is_uncached(blog, ask)
    kill(blog.engine, server)  # the next is asked for
    until(lambda: not watching(blog.engine))
    assert is_uncached(blog, ask)


def test_hole_07_a_cache_that_is_closed_asks_no_more(
    blog: Blog, short: YokedCache, server: Server
) -> None:
    Asker(blog, short)
    lose(blog.engine, server, ends)
    assert watching(blog.engine)
    short.sync.close()
    until(lambda: not watching(blog.engine))
    assert server.is_waiting()
    server.let_go()


def test_hole_07_a_cache_that_is_made_while_a_commit_is_lost(
    blog: Blog, short: YokedCache, server: Server
) -> None:
    ask = Asker(blog, short)
    lose(blog.engine, server, ends)
    late = YokedCache(jitter=0)
    sessions = blog.attached(late)
    name(sessions)
    with blog.counted() as sent:
        assert name(sessions) == "ann"
    assert len(sent) == 1
    assert server.is_waiting()
    server.let_go()
    until(lambda: server.name() == "new")
    assert name(sessions) == "new"
    until(lambda: not is_uncached(blog, ask))
    name(sessions)
    with blog.counted() as sent:
        assert name(sessions) == "new"
    assert sent == []
    late.sync.close()


@contextlib.contextmanager
def shut_postgresql(postgres: PostgresDatabase) -> Iterator[tuple[Engine, Any]]:
    def shut() -> None:
        statement = f"ALTER DATABASE {postgres.name} ALLOW_CONNECTIONS false"
        with postgres.server.connect() as connection:
            connection.execute(statement.encode())

    yield create_engine(postgres.url("psycopg")), shut


@contextlib.contextmanager
def shut_mariadb(mariadb: MariaDBDatabase) -> Iterator[tuple[Engine, Any]]:
    user = f"{mariadb.name}_app"
    mariadb.server.say(
        f"CREATE USER {user}@'%' IDENTIFIED BY 'app'",
        f"GRANT ALL ON {mariadb.name}.* TO {user}@'%'",
    )
    url = make_url(mariadb.url("pymysql")).set(username=user, password="app")
    engine = create_engine(url, isolation_level="READ COMMITTED")
    yield engine, lambda: mariadb.server.say(f"ALTER USER {user}@'%' ACCOUNT LOCK")
    mariadb.server.say(f"DROP USER {user}@'%'")


@pytest.fixture
def shut(request: pytest.FixtureRequest, blog: Blog) -> Iterator[tuple[Engine, Any]]:
    """
    Give an engine on the blog, and a way to have its server take no more of it.
    """
    if blog.engine.dialect.name == "postgresql":
        made = shut_postgresql(request.getfixturevalue("postgres_database"))
    else:
        made = shut_mariadb(request.getfixturevalue("mariadb_database"))
    with made as (engine, shut):
        yield engine, shut
        engine.dispose()


def test_hole_07_a_server_that_cannot_be_asked_is_waited_for_as_long_as_the_grace(
    blog: Blog, server: Server, shut: Any, said: pytest.LogCaptureFixture
) -> None:
    cache = YokedCache(jitter=0, orphan_grace="700ms")
    ask = Asker(blog, cache)
    engine, close = shut
    with engine.connect() as connection:
        connection.execute(RENAMING)
        close()
        server.kill(process_of(connection))
        lost = time.monotonic()
        with pytest.raises(DBAPIError):
            connection.commit()
    until(lambda: not is_uncached(blog, ask))
    assert time.monotonic() - lost >= 0.7
    assert ask.served() == {"ann"}
    until(lambda: not watching(engine))
    assert said.text.count("its outcome is unknown") == 1
    assert said.text.count("couldn't be asked for 1 s (OperationalError") == 1
    rename(blog)
    assert ask.served() == {"new"}
    cache.sync.close()

"""
Hole 7: a COMMIT that fails may have been carried out, or be carried out later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests.holes.asking import Asker
from tests.holes.losing import Failing, is_uncached
from tests.holes.stalling import STALLING, cut, process_of, server_of
from tests.support.held import until
from tests.support.looking import RENAMING, rename
from tests.support.models import User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from tests.holes.stalling import Server
    from tests.support.databases import Blog
    from yokedcache import YokedCache

SERVERS = pytest.mark.parametrize("blog", ["postgresql", "mariadb"], indirect=True)


@pytest.fixture
def ask(blog: Blog, cache: YokedCache) -> Asker:
    if blog.engine.dialect.name == "postgresql":
        with blog.engine.begin() as connection:
            for statement in STALLING:
                connection.exec_driver_sql(statement)
    return Asker(blog, cache)


@pytest.fixture
def server(blog: Blog) -> Iterator[Server]:
    with server_of(blog.engine) as made:
        yield made


@SERVERS
def test_hole_07_a_connection_lost_before_the_commit(
    blog: Blog, ask: Asker, server: Server
) -> None:
    with blog.sessions() as session:
        session.get_one(User, 1).name = "new"
        session.flush()
        server.kill(process_of(session.connection()))
        with pytest.raises(DBAPIError):
            session.commit()
        assert ask() == {"ann"}
    until(lambda: not is_uncached(blog, ask))
    assert ask.served() == {"ann"}
    rename(blog, "newer")
    assert ask() == {"newer"}


@SERVERS
@pytest.mark.parametrize("end", ["commit", "text"])
def test_hole_07_a_connection_killed_during_the_commit(
    blog: Blog, ask: Asker, server: Server, end: str
) -> None:
    with blog.engine.connect() as connection:
        connection.execute(RENAMING)
        process = process_of(connection)
        server.hold()
        commit = Failing(lambda: _commit(connection, end))
        until(server.is_waiting)
        server.kill(process)
        commit.end()
        server.let_go()
        assert ask() == {server.name()}
    until(lambda: not is_uncached(blog, ask))
    assert ask.served() == {server.name()}


def comes_through(blog: Blog, ask: Asker, server: Server) -> None:
    """
    See that nothing is kept until the server goes on, and the new from then on.
    """
    assert is_uncached(blog, ask)
    assert server.is_waiting()
    server.let_go()
    until(lambda: server.name() == "new")
    assert ask() == {"new"}


@SERVERS
@pytest.mark.parametrize("end", ["commit", "text"])
def test_hole_07_a_commit_that_outlives_its_connection(
    blog: Blog, ask: Asker, server: Server, end: str
) -> None:
    with blog.engine.connect() as connection:
        connection.execute(RENAMING)
        server.hold()
        commit = Failing(lambda: _commit(connection, end))
        until(server.is_waiting)
        cut(connection, unheard=True)
        commit.end()
        assert ask() == {"ann"}
    comes_through(blog, ask, server)


@SERVERS
def test_hole_07_a_statement_that_outlives_its_connection(
    blog: Blog, ask: Asker, server: Server
) -> None:
    """
    In autocommit mode the statement is the commit.
    """
    automatic = blog.engine.execution_options(isolation_level="AUTOCOMMIT")
    with automatic.connect() as connection:
        server.hold()
        statement = Failing(lambda: connection.execute(RENAMING))
        until(server.is_waiting)
        cut(connection, unheard=True)
        statement.end()
        assert ask() == {"ann"}
    comes_through(blog, ask, server)


def _commit(connection: Connection, end: str) -> None:
    if end == "text":
        connection.execute(text("COMMIT"))
    else:
        connection.commit()


@pytest.mark.parametrize("skips", [True, False])
def test_hole_07_a_statement_that_was_never_sent(
    blog: Blog, ask: Asker, skips: bool
) -> None:
    """
    Whoever failed it was not the server, and nothing is left of it with the transaction.
    """
    engine = create_engine(
        blog.engine.url,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=skips,
    )

    @event.listens_for(engine, "before_cursor_execute")
    def refuse(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE"):
            msg = "not now"
            raise RuntimeError(msg)

    with engine.connect() as connection:
        with pytest.raises(RuntimeError, match="not now"):
            connection.execute(RENAMING)
        assert ask() == {"ann"}
    assert ask.served() == {"ann"}
    engine.dispose()


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
def test_hole_07_a_commit_refused_for_a_constraint(
    blog: Blog, cache: YokedCache
) -> None:
    """
    Such an answer is the server's: the fence is gone with the transaction.
    """
    if blog.engine.dialect.name == "sqlite":
        event.listen(blog.engine, "connect", _with_foreign_keys)
        blog.engine.dispose()
    with blog.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE marks (id int REFERENCES users (id)"
            " DEFERRABLE INITIALLY DEFERRED)"
        )
    ask = Asker(blog, cache)
    with blog.sessions() as session:
        session.get_one(User, 1).name = "new"
        session.execute(text("INSERT INTO marks VALUES (99)"))
        with pytest.raises(DBAPIError):
            session.commit()
        assert ask() == {"ann"}
        session.rollback()
        assert ask.served() == {"ann"}
    with blog.engine.connect() as connection:
        connection.execute(RENAMING)
        connection.execute(text("INSERT INTO marks VALUES (99)"))
        with pytest.raises(DBAPIError):
            connection.execute(text("COMMIT"))
        assert ask() == {"ann"}
    assert ask.served() == {"ann"}
    rename(blog)
    assert ask.served() == {"new"}


def _with_foreign_keys(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
def test_hole_07_a_commit_refused_for_serialization(
    blog: Blog, cache: YokedCache
) -> None:
    ask = Asker(blog, cache)
    engine = blog.engine.execution_options(isolation_level="SERIALIZABLE")
    reads = text("SELECT count(*) FROM users WHERE active")
    with Session(engine) as one, Session(engine) as two:
        for session, number in ((one, 1), (two, 2)):
            session.execute(reads)
            session.execute(
                text("UPDATE users SET name = 'new', active = false WHERE id = :id"),
                {"id": number},
            )
        one.commit()
        assert ask() == {"new"}
        with pytest.raises(DBAPIError, match="could not serialize"):
            two.commit()
    assert ask.served() == {"new"}

"""
Hole 7: what a server says of its backends, and when that is no proof.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from tests.support.databases import twin
from tests.support.held import until
from yokedcache.runtime.clocks import monotonic
from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.transactions.backends import Backend
from yokedcache.sqlalchemy.transactions.inquiry import inquire

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from tests.support.databases import Blog

pytestmark = pytest.mark.parametrize("blog", ["postgresql", "mariadb"], indirect=True)


def backend_of(connection: Connection) -> Backend:
    holder: Any = connection._dbapi_connection
    database = database_of(connection.dialect)
    database.learn(holder.dbapi_connection)
    return Backend(holder, database)


def answer(engine: Engine, backend: Backend) -> bool | str:
    return inquire(engine.pool, [backend])[backend]


def test_hole_07_a_backend_is_there_until_its_connection_is_closed(blog: Blog) -> None:
    with blog.engine.connect() as connection:
        backend = backend_of(connection)
        assert backend.unaskable() is None
        assert answer(blog.engine, backend) is True
        assert answer(blog.engine, backend) is True
        connection.invalidate()
    until(lambda: answer(blog.engine, backend) is False)


def test_hole_07_a_number_that_was_given_again_is_not_the_backend(blog: Blog) -> None:
    with blog.engine.connect() as connection:
        backend = backend_of(connection)
        # a commit that was sent long before this connection, or server, was there
        backend.at = monotonic() - 1e9
        assert answer(blog.engine, backend) is False
        if blog.engine.dialect.name == "postgresql":
            backend = backend_of(connection)
            assert answer(blog.engine, backend) is True
            backend.born = "1"
            assert answer(blog.engine, backend) is False


@pytest.mark.parametrize("name", ["identity", "epoch"])
def test_hole_07_another_server_has_other_backends(blog: Blog, name: str) -> None:
    with blog.engine.connect() as connection:
        backend = backend_of(connection)
        setattr(backend, name, "another")
        assert answer(blog.engine, backend) == "another server answers, or it anew"


class Pooled:
    """
    A connection as a pooler gives it: with a number of the pooler's own.
    """

    info = types.SimpleNamespace(backend_pid=1)

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def thread_id(self) -> int:
        return 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def test_hole_07_a_pooler_in_between_is_seen(blog: Blog) -> None:
    engine = twin(blog.engine)

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _r: Any, args: Any, options: Any) -> Any:
        return Pooled(dialect.connect(*args, **options))

    with blog.engine.connect() as connection:
        backend = backend_of(connection)
        backend.pool = engine.pool
        assert answer(engine, backend) == "the server isn't reached directly"
    engine.dispose()


def test_hole_07_a_server_that_refuses_says_why(blog: Blog) -> None:
    engine = twin(blog.engine)

    @event.listens_for(engine, "do_connect")
    def connect(*_: Any) -> Any:
        msg = "no more of you"
        raise ConnectionError(msg)

    with blog.engine.connect() as connection:
        backend = backend_of(connection)
    assert answer(engine, backend) == "ConnectionError: no more of you"


@pytest.mark.parametrize("user", ["somebody else", None])
def test_hole_07_a_user_of_mysql_sees_its_own_connections(
    blog: Blog, user: str | None
) -> None:
    with blog.engine.connect() as connection:
        backend = backend_of(connection)
        assert (backend.user is None) == (blog.engine.dialect.name == "postgresql")
        backend.user = user
        if blog.engine.dialect.name == "postgresql":
            assert answer(blog.engine, backend) is True
        else:
            assert "belong to a user" in str(answer(blog.engine, backend))


def test_hole_07_a_driver_that_names_no_user_has_to_be_told_by_its_engine(
    blog: Blog,
) -> None:
    engine = twin(blog.engine)

    class Nameless:
        def __init__(self, raw: Any) -> None:
            self._raw = raw

        def __getattr__(self, name: str) -> Any:
            if name == "user":
                raise AttributeError(name)
            return getattr(self._raw, name)

    connects = engine.dialect.connect
    engine.dialect.connect = lambda *a, **kw: Nameless(connects(*a, **kw))  # type: ignore[method-assign, assignment]
    with blog.engine.connect() as connection:
        backend = backend_of(connection)
        backend.user, backend.pool = None, engine.pool
        assert answer(engine, backend) is True
        # the app may log in by another name each time
        event.listen(engine, "do_connect", lambda *_: None)
        on_postgresql = blog.engine.dialect.name == "postgresql"
        assert (answer(engine, backend) is True) == on_postgresql
    engine.dispose()


@pytest.mark.parametrize("name", ["pool", "number", "identity"])
def test_hole_07_what_is_not_known_cannot_be_asked_for(blog: Blog, name: str) -> None:
    with blog.engine.connect() as connection:
        backend = backend_of(connection)
        setattr(backend, name, None)
        assert backend.unaskable()

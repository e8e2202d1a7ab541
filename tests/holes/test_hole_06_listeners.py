"""
Hole 6: what an app's own listeners write over a cursor or a driver's connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import sessionmaker

from tests.holes.asking import Asker
from tests.support.databases import twin
from tests.support.looking import RENAMING_TEXT

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.support.databases import Blog
    from yokedcache import YokedCache

_ONE = text("SELECT 1")


@pytest.fixture
def ask(blog: Blog, cache: YokedCache) -> Asker:
    return Asker(blog, cache)


def send(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(RENAMING_TEXT)
    cursor.close()


def before(_c: Any, cursor: Any, *_: Any) -> None:
    cursor.execute(RENAMING_TEXT)


def after(_c: Any, cursor: Any, *_: Any) -> None:
    cursor.fetchall()
    cursor.execute(RENAMING_TEXT)


def instead(cursor: Any, statement: str, *_: Any) -> bool:
    if "SELECT 7" not in statement:
        return False
    cursor.execute(RENAMING_TEXT)
    return True


def leave(connection: Any, *_: Any) -> None:
    send(connection)


def commit(connection: Any, *_: Any) -> None:
    send(connection)
    connection.commit()


CURSORS = (
    ("before_cursor_execute", before),
    ("after_cursor_execute", after),
    ("do_execute", instead),
    ("do_execute_no_params", instead),
)


@pytest.mark.parametrize(("name", "listener"), CURSORS)
def test_hole_06_listeners_that_write_over_a_cursor(
    blog: Blog, ask: Asker, name: str, listener: Any
) -> None:
    engine = twin(blog.engine)
    event.listen(engine, name, listener)
    ask.served()
    with engine.connect() as connection:
        _run(connection, name)
        assert ask() == {"ann"}
        connection.rollback()
        assert ask() == {"ann"}
        _run(connection, name)
        connection.commit()
        assert ask() == {"new"}
    engine.dispose()
    assert ask.served() == {"new"}


def _run(connection: Any, name: str) -> None:
    if name == "do_execute_no_params":
        connection.execution_options(no_parameters=True).exec_driver_sql("SELECT 7")
    elif name == "do_execute":
        connection.execute(text("SELECT 7 + :one"), {"one": 1})
    else:
        connection.execute(_ONE)


@pytest.mark.parametrize(("name", "listener"), CURSORS[:3])
def test_hole_06_listeners_in_autocommit(
    blog: Blog, ask: Asker, name: str, listener: Any
) -> None:
    engine = twin(blog.engine).execution_options(isolation_level="AUTOCOMMIT")
    event.listen(engine, name, listener)
    ask.served()
    with engine.connect() as connection:
        assert ask() == {"ann"}
        _run(connection, name)
        assert ask() == {"new"}
    engine.dispose()
    assert ask.served() == {"new"}


def test_hole_06_listeners_of_one_connection(blog: Blog, ask: Asker) -> None:
    with blog.engine.connect() as connection:
        connection.execute(_ONE)
        event.listen(connection, "before_cursor_execute", before)
        connection.execute(_ONE)
        connection.commit()
        assert ask() == {"new"}


@pytest.mark.parametrize("name", ["connect", "first_connect", "checkout"])
def test_hole_06_listeners_that_commit_as_a_connection_is_taken(
    blog: Blog, ask: Asker, name: str
) -> None:
    engine = twin(blog.engine)
    event.listen(engine, name, commit)
    ask.served()
    with engine.connect():
        assert ask() == {"new"}
    engine.dispose()
    assert ask.served() == {"new"}


@pytest.mark.parametrize("name", ["connect", "checkout"])
def test_hole_06_listeners_that_write_as_a_connection_is_taken(
    blog: Blog, ask: Asker, name: str
) -> None:
    engine = twin(blog.engine)
    event.listen(engine, name, leave)
    ask.served()
    with engine.connect() as connection:
        connection.execute(_ONE)
        assert ask() == {"ann"}
        connection.commit()
        assert ask() == {"new"}
    engine.dispose()
    assert ask.served() == {"new"}


@pytest.mark.parametrize("name", ["checkin", "reset"])
@pytest.mark.parametrize("leaves", ["", "detached"])
def test_hole_06_listeners_that_write_as_a_connection_is_given_back(
    blog: Blog, ask: Asker, name: str, leaves: str
) -> None:
    engine = twin(blog.engine)
    event.listen(engine, name, commit)
    ask.served()
    with engine.connect() as connection:
        connection.execute(_ONE)
        connection.commit()
        if leaves:
            connection.detach()
        assert ask() == {"ann"}
    seen = {"ann"} if leaves and name == "checkin" else {"new"}
    assert ask() == seen
    engine.dispose()
    assert ask.served() == seen


def test_hole_06_what_a_checkin_listener_left_is_committed_by_the_next(
    blog: Blog, ask: Asker
) -> None:
    engine = twin(blog.engine, pool_size=1, max_overflow=0)
    event.listen(engine, "checkin", leave)
    ask.served()
    with engine.connect() as connection:
        connection.execute(_ONE)
    assert ask() == {"ann"}
    with engine.connect() as connection:
        connection.execute(_ONE)
        connection.commit()
        assert ask() == {"new"}
    event.remove(engine, "checkin", leave)
    engine.dispose()


# -- who is believed ------------------------------------------------------------


def _ping(connection: Any, *_: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    cursor.close()


def _ask_helper(connection: Any, *_: Any) -> None:
    _ping(connection)


def _use(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(_ONE)
        connection.commit()


@pytest.mark.parametrize("name", ["connect", "checkout", "checkin", "reset"])
def test_hole_06_a_listener_seen_to_write_nothing_drops_nothing(
    blog: Blog, ask: Asker, said: pytest.LogCaptureFixture, name: str
) -> None:
    engine = twin(blog.engine)
    event.listen(engine, name, _ping)
    event.listen(engine, "after_cursor_execute", lambda *_: None)
    ask()
    with blog.counted() as sent:
        _use(engine)
        assert ask() == {"ann"}
    assert sent == []
    assert "listener" not in said.text
    engine.dispose()


def test_hole_06_a_listener_that_may_write_is_named_once(
    blog: Blog, ask: Asker, said: pytest.LogCaptureFixture
) -> None:
    engine = twin(blog.engine)
    event.listen(engine, "checkout", _ask_helper)
    ask()
    with blog.counted() as sent:
        _use(engine)
        assert ask() == {"ann"}
        _use(engine)
    assert sent != []
    assert said.text.count("_ask_helper (") == 1
    assert "test_hole_06_listeners.py" in said.text
    assert "vary=" in said.text
    engine.dispose()


@pytest.mark.parametrize("vary", [None, "anything", lambda _: "anything"])
def test_hole_06_vary_vouches_for_an_engines_listeners(
    blog: Blog,
    cache: YokedCache,
    ask: Asker,
    said: pytest.LogCaptureFixture,
    vary: Any,
) -> None:
    engine = twin(blog.engine)
    event.listen(engine, "checkout", _ask_helper)
    event.listen(engine, "checkin", _ask_helper)
    cache.attach(sessionmaker(engine), vary=vary)
    ask()
    with blog.counted() as sent:
        _use(engine)
        assert ask() == {"ann"}
    assert sent == []
    assert "_ask_helper" not in said.text
    engine.dispose()


def test_hole_06_vary_vouches_from_a_sessions_first_use(
    blog: Blog, cache: YokedCache, ask: Asker
) -> None:
    engine = twin(blog.engine)
    event.listen(engine, "checkout", _ask_helper)
    maker = cache.attach(sessionmaker(), vary=None)
    with maker(bind=engine) as session:
        session.execute(_ONE)
        session.commit()
    ask()
    with blog.counted() as sent:
        _use(engine)
        assert ask() == {"ann"}
    assert sent == []
    engine.dispose()


def test_hole_06_a_listener_says_what_it_wrote(
    blog: Blog, cache: YokedCache, ask: Asker
) -> None:
    engine = twin(blog.engine)
    cache.attach(sessionmaker(engine), vary=None)

    @event.listens_for(engine, "before_cursor_execute")
    def own(connection: Any, cursor: Any, *_: Any) -> None:
        cursor.execute(RENAMING_TEXT)
        cache.wrote(connection, "users")

    with engine.connect() as connection:
        connection.execute(_ONE)
        assert ask() == {"ann"}
        connection.commit()
        assert ask() == {"new"}
    engine.dispose()

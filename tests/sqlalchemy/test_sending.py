"""
Statements are noted where the driver gets them, whoever sends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, insert, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from tests.support.databases import twin
from tests.support.looking import RENAMING, name
from tests.support.models import User
from yokedcache.sqlalchemy import tracking
from yokedcache.sqlalchemy.transactions import sending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Engine

    from tests.support.databases import Blog
    from yokedcache import YokedCache


class Overriding(SQLiteDialect_pysqlite):
    """
    A dialect with methods of its own, which end where its base's are.
    """

    supports_statement_cache = True

    def do_executemany(self, *args: Any, **kw: Any) -> None:
        super().do_executemany(*args, **kw)

    def do_commit(self, dbapi_connection: Any) -> None:
        super().do_commit(dbapi_connection)


registry.register("sqlite.overriding", __name__, Overriding.__name__)


@pytest.fixture
def early() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """
    Do something as before the first cache of a process.
    """

    def do(deed: Callable[[], Any]) -> Any:
        tracking.uninstall()
        try:
            return deed()
        finally:
            tracking.install()

    yield do
    tracking.install()


def sends_itself(engine: Engine) -> None:
    """
    Have a listener of the app's send every statement of an engine.
    """

    @event.listens_for(engine, "do_execute")
    def send(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        cursor.execute(statement, parameters)
        return True

    @event.listens_for(engine, "do_execute_no_params")
    def send_bare(cursor: Any, statement: str, context: Any) -> bool:
        cursor.execute(statement)
        return True


@pytest.mark.parametrize("when", ["before the cache", "after"])
@pytest.mark.parametrize("statement", [RENAMING, text("UPDATE users SET name = 'new'")])
def test_a_listener_that_sends_statements_itself_doesn_t_hide_them(
    blog: Blog,
    cache: YokedCache,
    early: Callable[[Callable[[], Any]], Any],
    when: str,
    statement: Any,
) -> None:
    other = twin(blog.engine)
    if when == "after":
        sends_itself(other)
        assert sending._events.heard
    else:
        early(lambda: sends_itself(other))
        assert not sending._events.heard
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with other.begin() as connection:
        connection.execute(statement)
    assert [name(maker), name(maker)] == ["new", "new"]
    other.dispose()


def test_an_open_connection_is_heard_though_the_listener_comes_later(
    blog: Blog, cache: YokedCache
) -> None:
    other = twin(blog.engine)
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with other.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        sends_itself(other)
        connection.execute(RENAMING)
    assert [name(maker), name(maker)] == ["new", "new"]
    other.dispose()


def test_nothing_is_listened_to_on_engines_that_makes_each_statement_dearer(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with blog.engine.connect() as connection:
        assert not connection._has_events
        for event_name in ("before_cursor_execute", "before_execute", "engine_connect"):
            assert not len(getattr(connection.dispatch, event_name))


@pytest.mark.parametrize("blog", ["sqlite"], indirect=True)
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_dialect_that_overrides_is_noted_once_on_connections_from_before(
    blog: Blog,
    cache: YokedCache,
    early: Callable[[Callable[[], Any]], Any],
    many: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = blog.engine.url.set(drivername="sqlite+overriding")
    other = create_engine(url)
    connection = early(other.connect)
    assert connection.dialect.__class__ is Overriding
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    noted: list[str] = []
    before = sending.before
    monkeypatch.setattr(
        sending, "before", lambda *args: noted.append(args[1]) or before(*args)
    )
    if many:
        users = [{"id": 90 + number, "name": "x"} for number in range(2)]
        connection.execute(insert(User), users)
    connection.execute(RENAMING)
    assert len(noted) == 1 + many
    connection.commit()
    assert [name(maker), name(maker)] == ["new", "new"]
    connection.close()
    other.dispose()

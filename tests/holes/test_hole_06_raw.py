"""
Hole 6: connections that the app has in its own hands.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import pytest
from greenlet import greenlet
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.holes.asking import Asker
from tests.support.databases import twin
from tests.support.looking import NAME, RENAMING, RENAMING_TEXT, name
from tests.support.models import User

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache


@pytest.fixture
def ask(blog: Blog, cache: YokedCache) -> Asker:
    return Asker(blog, cache)


@pytest.mark.parametrize("reset", ["rollback", "commit", None])
def test_hole_06_raw_connections(blog: Blog, ask: Asker, reset: Any) -> None:
    engine = twin(blog.engine, pool_reset_on_return=reset)
    for to, commits in (("new", False), ("newer", True), ("newest", False)):
        raw = engine.raw_connection()
        before = ask()
        _send(raw, f"UPDATE users SET name = '{to}' WHERE id = 1")
        assert ask() == before
        if commits:
            raw.commit()
        raw.close()
        assert ask() == ({to} if commits or reset == "commit" else before)
    engine.dispose()
    assert ask.served() == {"newest" if reset == "commit" else "newer"}


@pytest.mark.parametrize("handed", ["raw", "driver"])
def test_hole_06_what_a_raw_connection_left_open(
    blog: Blog, cache: YokedCache, ask: Asker, handed: str
) -> None:
    """
    With no reset on return, the next to use a connection goes on in its transaction.
    """
    engine = twin(blog.engine, pool_reset_on_return=None, pool_size=1, max_overflow=0)
    for end in ("rollback", "commit", "text"):
        before = ask()
        opened: Any = engine.raw_connection() if handed == "raw" else engine.connect()
        raw = opened if handed == "raw" else opened.connection.driver_connection
        _send(raw, f"UPDATE users SET name = '{end}' WHERE id = 1")
        opened.close()
        assert ask() == before
        with Session(engine) as session:
            cache.attach(session)
            goes_on = {session.scalars(NAME).one(), session.scalars(NAME).one()}
            assert goes_on == {end}
            assert ask() == before
            if end == "text":
                session.execute(text("COMMIT"))
            else:
                getattr(session, end)()
            seen = before if end == "rollback" else goes_on
            assert ask() == seen == {name(blog.sessions)}
        assert ask() == seen
    engine.dispose()
    assert ask.served() == {name(blog.sessions)}


def _send(raw: Any, sql: str) -> None:
    cursor = raw.cursor()
    cursor.execute(sql)
    cursor.close()


@pytest.mark.parametrize("way", ["pooled", "driver"])
def test_hole_06_a_drivers_own_connection(blog: Blog, ask: Asker, way: str) -> None:
    with blog.engine.connect() as connection:
        for to in ("new", "newer", "newest"):
            connection.execute(text("SELECT 1"))
            pooled: Any = connection.connection
            raw = pooled if way == "pooled" else pooled.driver_connection
            before = ask()
            _send(raw, f"UPDATE users SET name = '{to}' WHERE id = 1")
            assert ask() == before
            if to == "newest":
                raw.commit()  # nobody is told before the connection goes back
            else:
                connection.commit()
                assert ask() == {to}
    assert ask() == {"newest"}


@pytest.mark.parametrize("of", ["connection", "session"])
def test_hole_06_a_drivers_own_cursor(blog: Blog, ask: Asker, of: str) -> None:
    for to in ("new", "newer"):
        with blog.engine.connect() if of == "connection" else blog.sessions() as held:
            found: Any = held.execute(text("SELECT id FROM users"))
            before = ask()
            iter(found.cursor).fetchall()
            iter(found.cursor).execute(f"UPDATE users SET name = '{to}' WHERE id = 1")
            assert ask() == before
            found.close()
            held.commit()
            assert ask() == {to}


def test_hole_06_what_sqlalchemy_fetches_by_cursors_drops_nothing(
    blog: Blog, ask: Asker
) -> None:
    ask()
    with blog.sessions() as session, session.begin():
        session.execute(text("UPDATE posts SET title = title WHERE id = -1"))
        assert len(session.execute(text("SELECT id FROM users")).fetchmany(2)) == 2
        for row in session.execute(text("SELECT id FROM posts")):
            assert row.id
        found: Any = session.execute(text("SELECT id FROM users"))
        assert (found.cursor.description[0][0], len(found.all())) == ("id", 3)
    with blog.counted() as sent:
        ask()
    assert sent == []


def test_hole_06_a_drivers_own_cursor_stays_what_it_is(blog: Blog) -> None:
    with blog.engine.connect() as connection:
        driver: Any = connection.connection
        found: Any = connection.execute(text("SELECT id FROM users"))
        assert isinstance(found.cursor, type(driver.cursor()))
        assert found.cursor == found.cursor
        assert hash(found.cursor) == hash(found.cursor)
        found.cursor.arraysize = 2
        assert len(found.cursor.fetchmany()) == 2
        assert len(list(found.cursor)) == 1
        assert not hasattr(found.cursor, "nothing_of_this_name")
        found.close()
        assert found.cursor is None


@pytest.mark.usefixtures("cache")
def test_hole_06_a_cursor_is_handed_out_in_a_greenlet_of_its_own(blog: Blog) -> None:
    with blog.engine.connect() as connection:
        found: Any = connection.execute(text("SELECT id FROM users"))
        handed = greenlet(operator.attrgetter("cursor")).switch(found)
        assert len(handed.fetchall()) == 3


def test_hole_06_what_a_cursor_of_the_drivers_wrote_is_seen_by_nobody_else(
    blog: Blog, cache: YokedCache, ask: Asker
) -> None:
    maker = blog.attached(cache)
    with maker() as session:
        _send(session.connection().connection, RENAMING_TEXT)
        assert session.get_one(User, 1).name == "new"
        assert ask() == {"ann"}
        session.rollback()
    assert ask() == {"ann"}


def test_hole_06_a_connection_that_left_its_pool(blog: Blog, ask: Asker) -> None:
    with blog.engine.connect() as connection:
        connection.detach()
        connection.execute(RENAMING)
        assert ask() == {"ann"}
        connection.commit()
        assert ask.served() == {"new"}
    assert ask.served() == {"new"}


def test_hole_06_a_raw_connection_that_left_its_pool(blog: Blog, ask: Asker) -> None:
    raw: Any = blog.engine.raw_connection()
    raw.detach()
    _send(raw, RENAMING_TEXT)
    assert ask() == {"ann"}
    raw.commit()
    raw.close()
    assert ask.served() == {"new"}

"""
What an app fetches by the cursor of a result, live, read ahead, or answered from the cache.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from tests.support.models import User
from yokedcache.sqlalchemy.answers.rows import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import Blog
    from yokedcache import YokedCache

NAMES = select(User.__table__.c.name).order_by(User.__table__.c.id)
ALL = ["ann", "bob", "eve"]
WAYS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda _: None,
    "description": lambda cursor: cursor.description[0][0],
    "fetchone": lambda cursor: tuple(cursor.fetchone()),
    "next": lambda cursor: tuple(next(iter(cursor))),
    "end": lambda cursor: (len(list(cursor)), next(iter(cursor), "no more")),
    "fetchmany": lambda cursor: [tuple(row) for row in cursor.fetchmany(2)],
    "few": lambda cursor: [tuple(row) for row in cursor.fetchmany()],
    "fetchall": lambda cursor: [tuple(row) for row in cursor.fetchall()],
    "iterated": lambda cursor: [tuple(row) for row in cursor],
    "twice": lambda cursor: [cursor.fetchone() is None for _ in range(5)],
}


def asked(maker: Any, way: str) -> tuple[Any, list[str]]:
    with maker() as session:
        result = session.execute(NAMES)
        found = WAYS[way](result.cursor)
        return found, list(result.scalars())


@pytest.mark.parametrize("way", WAYS)
def test_cursors_of_cached_sessions_give_what_those_of_others_do(
    blog: Blog, cache: YokedCache, way: str
) -> None:
    cached = blog.attached(cache)
    assert [asked(cached, way) for _ in range(3)] == [asked(blog.sessions, way)] * 3
    with cached() as session:
        assert list(session.scalars(NAMES)) == ALL
        assert list(session.scalars(NAMES)) == ALL
    # taken down whole: now the cursors are of answers from the cache
    assert [asked(cached, way) for _ in range(3)] == [asked(blog.sessions, way)] * 3


def test_what_a_cursor_is_sent_is_no_answer_of_the_statement_before(
    blog: Blog, cache: YokedCache
) -> None:
    with blog.attached(cache)() as session:
        result: Any = session.execute(NAMES)
        result.cursor.execute("SELECT 'nobody'")
        assert list(result.scalars()) == ["nobody"]
    with blog.attached(cache)() as session:
        assert list(session.scalars(NAMES)) == ALL


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("way", WAYS)
def test_rows_that_were_read_ahead_come_first(blog: Blog, way: str) -> None:
    def found(*, ahead: bool) -> tuple[Any, list[str]]:
        with blog.engine.connect() as connection:
            result: Any = connection.execute(NAMES)
            if ahead:
                ignored: Any = lambda _: None  # noqa: E731
                record(result, on_complete=ignored, on_abandon=ignored, ahead=2)
            return WAYS[way](result.cursor), list(result.scalars())

    assert found(ahead=True) == found(ahead=False)


@pytest.mark.usefixtures("cache")
def test_a_cursor_that_is_copied_fails_as_drivers_do(blog: Blog) -> None:
    with blog.engine.connect() as connection:
        result: Any = connection.execute(text("SELECT id FROM users"))
        with pytest.raises((AttributeError, TypeError)):
            copy.copy(result.cursor).description  # noqa: B018


def test_an_answer_from_the_cache_has_no_cursor_to_send_with(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    for _ in range(2):
        with maker() as session:
            session.scalars(NAMES).all()
    with maker() as session:
        result: Any = session.execute(NAMES)
        with pytest.raises(AttributeError, match="answered from the cache"):
            result.cursor.execute("SELECT 1")

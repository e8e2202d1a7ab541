"""
Hole 4 on MariaDB: settings stay with a connection, and nothing is known to undo them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text

from tests.support.databases import STATEMENT_LEVEL, blog_at
from tests.support.models import User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from tests.services.mariadb import MariaDBDatabase
    from tests.support.databases import Blog
    from yokedcache import YokedCache

NAMES = select(func.group_concat(User.name))
BEGUN, SET = "ann,bob", "ann,"
SETTING = {
    "set": "SET group_concat_max_len = 4",
    "set_session": "SET SESSION group_concat_max_len = 4",
    "set_local": "SET LOCAL group_concat_max_len = 4",
    "set_variable": "SET @@session.group_concat_max_len := 4",
    "set_last": "SET wait_timeout = 100, group_concat_max_len = 4",
    "in_a_comment": "/*! SET group_concat_max_len = 4 */",
    "statement": "EXECUTE IMMEDIATE 'SET group_concat_max_len = 4'",
    "function": "SELECT enter()",
    "procedure": "CALL entering()",
    "block": "BEGIN NOT ATOMIC SET group_concat_max_len = 4; END",
}
RAW = ("raw", "handed")


@pytest.fixture
def narrow(mariadb_database: MariaDBDatabase) -> Iterator[Blog]:
    """
    Give a blog over one connection, which begins with a setting of the URL's.
    """
    with blog_at(
        mariadb_database.url("pymysql"),
        connect_args={"init_command": "SET group_concat_max_len = 7"},
        pool_size=1,
        max_overflow=0,
        **STATEMENT_LEVEL,
    ) as blog:
        with blog.engine.begin() as connection:
            for kind, name, end in (
                ("FUNCTION", "enter() RETURNS INT", "RETURN 1;"),
                ("PROCEDURE", "entering()", ""),
            ):
                connection.exec_driver_sql(
                    f"CREATE {kind} {name} BEGIN SET group_concat_max_len = 4; {end} END"
                )
        blog.engine.dispose()
        yield blog


def _send(blog: Blog, session: Session, way: str) -> None:
    if way in SETTING:
        session.execute(text(SETTING[way]))
    elif way == "handed":
        pooled: Any = session.connection().connection
        pooled.driver_connection.cursor().execute(SETTING["set"])


def _ask(maker: Any) -> str | None:
    with maker() as session:
        return session.scalar(NAMES)


@pytest.mark.parametrize("end", ["commit", "rollback"])
@pytest.mark.parametrize("way", [*SETTING, *RAW])
def test_hole_04_what_a_connection_was_set_to_is_answered_to_nobody_else(
    narrow: Blog, cache: YokedCache, way: str, end: str
) -> None:
    maker = narrow.attached(cache)
    assert [_ask(maker), _ask(maker)] == [BEGUN, BEGUN]
    assert cache.stats().total.hits == 1
    if way == "raw":
        pooled = narrow.engine.raw_connection()
        pooled.cursor().execute(SETTING["set"])
        pooled.close()
    else:
        with maker() as session:
            _send(narrow, session, way)
            assert session.scalar(NAMES) == SET
            getattr(session, end)()
    assert [_ask(maker), _ask(maker)] == [SET, SET]
    narrow.engine.dispose()
    assert [_ask(maker), _ask(maker)] == [BEGUN, BEGUN]


def test_hole_04_default_is_not_what_the_connection_began_with(
    narrow: Blog, cache: YokedCache
) -> None:
    maker = narrow.attached(cache)
    assert [_ask(maker), _ask(maker)] == [BEGUN, BEGUN]
    with maker() as session:
        session.execute(text("SET group_concat_max_len = DEFAULT"))
        assert session.scalar(NAMES) == "ann,bob,eve"
    assert [_ask(maker), _ask(maker)] == ["ann,bob,eve"] * 2
    assert cache.stats().total.bypasses["context"] == 3
    narrow.engine.dispose()
    assert [_ask(maker), _ask(maker)] == [BEGUN, BEGUN]


def test_hole_04_timeouts_change_no_answer(narrow: Blog, cache: YokedCache) -> None:
    maker = narrow.attached(cache)
    with maker() as session:
        session.execute(text("SET SESSION wait_timeout = 100"))
        assert [session.scalar(NAMES), session.scalar(NAMES)] == [BEGUN, BEGUN]
    assert cache.stats().total.hits == 1

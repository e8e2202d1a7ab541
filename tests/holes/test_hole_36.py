"""
Hole 36: writers outside the process aren't heard, and the first page says so.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.looking import RENAMING_TEXT, name, name_async
from yokedcache import cached

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

README = Path(__file__).parents[2] / "README.md"


def outside(url: Any) -> Any:
    """
    Connect as a program would that knows nothing of SQLAlchemy.
    """
    kind = url.get_backend_name()
    if kind == "sqlite":
        return sqlite3.connect(url.database)
    if kind == "postgresql":
        import psycopg

        plain = url.set(drivername="postgresql")
        return psycopg.connect(plain.render_as_string(hide_password=False))
    import pymysql

    return pymysql.connect(
        host=url.host, port=url.port, user=url.username, database=url.database
    )


def write_outside(url: Any) -> None:
    with contextlib.closing(outside(url)) as connection:
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(RENAMING_TEXT)
        connection.commit()


def test_hole_36_the_first_page_says_it() -> None:
    first_page = README.read_text().partition("## Install")[0]
    said = " ".join(first_page.split())
    assert "Writers outside the process aren't heard:" in said
    assert "Alembic" in said
    assert "call `cache.invalidate_database()`" in said


def test_hole_36_what_was_written_outside_is_seen_when_said(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)

    @cached(cache=cache)
    def called() -> str:
        return name(blog.sessions)

    assert [name(maker), called()] * 4 == ["ann"] * 8
    write_outside(blog.engine.url)
    assert [name(maker), called()] == ["ann"] * 2  # not heard
    cache.sync.invalidate_database()
    assert [name(maker), called()] * 4 == ["new"] * 8


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")
async def test_hole_36_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)
    assert [await name_async(maker) for _ in range(4)] == ["ann"] * 4
    write_outside(async_blog.engine.url)
    await cache.invalidate_database()
    assert [await name_async(maker) for _ in range(4)] == ["new"] * 4

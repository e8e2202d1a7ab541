"""
Hole 8 on SQLite: triggers that only one connection has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from tests.support.looking import (
    RENAMING_TEXT,
    name,
    name_async,
    rename,
    rename_async,
)
from tests.support.models import Post

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

MAKING = [
    f"CREATE TEMP TRIGGER t AFTER UPDATE ON main.posts BEGIN {RENAMING_TEXT}; END",
    f"create trigger temp.t after update on main.posts begin {RENAMING_TEXT}; end",
]
RETITLE = update(Post).where(Post.id == 11)


@pytest.mark.parametrize("blog", ["sqlite"], indirect=True)
@pytest.mark.parametrize("making", MAKING)
@pytest.mark.parametrize("undone", [True, False])
def test_hole_08_a_temporary_trigger_writes(
    blog: Blog, cache: YokedCache, making: str, undone: bool
) -> None:
    maker = blog.attached(cache)
    with blog.engine.connect() as connection:
        connection.exec_driver_sql(making)
        connection.commit()
        for title in ("a", "b"):
            rename(blog, "old")
            assert [name(maker), name(maker)] == ["old", "old"]
            if undone:  # the trigger is gone, and comes back
                connection.exec_driver_sql("BEGIN")
                connection.exec_driver_sql("DROP TRIGGER t")
                connection.execute(RETITLE.values(title="c"))
                connection.rollback()
            connection.execute(RETITLE.values(title=title))
            connection.commit()
            assert [name(maker), name(maker)] == ["new", "new"]


@pytest.mark.parametrize("blog", ["sqlite"], indirect=True)
def test_hole_08_a_temporary_trigger_writes_no_more(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    with blog.engine.connect() as connection, blog.engine.connect() as other:
        connection.exec_driver_sql(MAKING[0])
        connection.commit()
        assert name(maker) == "ann"
        other.execute(RETITLE.values(title="a"))
        other.commit()
        assert served(blog, maker)
        connection.exec_driver_sql("DROP TRIGGER t")
        connection.commit()
        assert name(maker) == "ann"
        connection.execute(RETITLE.values(title="b"))
        connection.commit()
        assert served(blog, maker)


def served(blog: Blog, maker: Any) -> bool:
    with blog.counted() as sent:
        assert name(maker) == "ann"
    return sent == []


@pytest.mark.parametrize("async_blog", ["aiosqlite"], indirect=True)
async def test_hole_08_a_temporary_trigger_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)
    async with async_blog.engine.connect() as connection:
        await connection.exec_driver_sql(MAKING[0])
        await connection.commit()
        await rename_async(async_blog, "old")
        assert [await name_async(maker), await name_async(maker)] == ["old", "old"]
        await connection.execute(RETITLE.values(title="a"))
        await connection.commit()
    assert [await name_async(maker), await name_async(maker)] == ["new", "new"]

"""
Hole 35: every engine of the process is tracked, once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from tests.support.databases import STATEMENT_LEVEL, twin
from tests.support.looking import RENAMING, name, name_async
from yokedcache import YokedCache
from yokedcache.sqlalchemy import tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.databases import AsyncBlog, Blog


@pytest.fixture
def late() -> Iterator[Callable[[], YokedCache]]:
    """
    Let nobody listen until a cache is made, as in a process that has none.
    """
    made: list[YokedCache] = []

    def make() -> YokedCache:
        made.append(YokedCache(jitter=0))
        return made[0]

    tracking.uninstall()
    yield make
    tracking.install()
    for cache in made:
        cache.sync.close()


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_hole_35_a_transaction_that_was_open_before_may_have_written_anything(
    blog: Blog, late: Callable[[], YokedCache], end: str
) -> None:
    engine = twin(blog.engine)
    with engine.connect() as early:
        early.execute(RENAMING)
        maker = late().attach(sessionmaker(blog.engine))
        assert [name(maker), name(maker)] == ["ann", "ann"]
        getattr(early, end)()
        seen = "new" if end == "commit" else "ann"
        assert [name(maker), name(maker)] == [seen, seen]
    engine.dispose()


def test_hole_35_what_it_writes_later_is_heard_as_well(
    blog: Blog, late: Callable[[], YokedCache]
) -> None:
    engine = twin(blog.engine)
    with engine.connect() as early:
        early.exec_driver_sql("SELECT 1")
        maker = late().attach(sessionmaker(blog.engine))
        assert [name(maker), name(maker)] == ["ann", "ann"]
        early.execute(RENAMING)
        early.commit()
        assert [name(maker), name(maker)] == ["new", "new"]
    engine.dispose()


def test_hole_35_a_raw_connection_that_was_out_before_may_have_written_anything(
    blog: Blog, late: Callable[[], YokedCache]
) -> None:
    engine = twin(blog.engine)
    early = engine.raw_connection()
    maker = late().attach(sessionmaker(blog.engine))
    assert [name(maker), name(maker)] == ["ann", "ann"]
    cursor = early.cursor()
    cursor.execute("UPDATE users SET name = 'new' WHERE id = 1")
    cursor.close()
    early.commit()
    early.close()
    assert [name(maker), name(maker)] == ["new", "new"]
    engine.dispose()


def test_hole_35_engines_of_one_dialect_are_wrapped_once(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    wrapped = blog.engine.dialect.do_commit
    option = blog.engine.execution_options(logging_token="option")
    for number in range(3):
        with option.execution_options(stream_results=False).begin() as connection:
            connection.execute(RENAMING.values(name=f"new {number}"))
        assert [name(maker), name(maker)] == [f"new {number}"] * 2
    assert option.dialect is blog.engine.dialect
    assert blog.engine.dialect.do_commit is wrapped
    assert not hasattr(wrapped.func, "args")  # type: ignore[attr-defined]
    assert wrapped.args[0].__func__.__module__.startswith("sqlalchemy.")  # type: ignore[attr-defined]


def test_hole_35_an_engine_made_later_is_heard_at_its_first_commit(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    options: dict[str, Any] = (
        STATEMENT_LEVEL if blog.engine.dialect.name == "mariadb" else {}
    )
    engine = create_engine(blog.engine.url, **options)
    with engine.begin() as connection:
        connection.execute(RENAMING)
    assert name(maker) == "new"
    engine.dispose()


@pytest.mark.anyio
async def test_hole_35_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)
    assert [await name_async(maker), await name_async(maker)] == ["ann", "ann"]
    option = async_blog.engine.execution_options(logging_token="option")

    async def write() -> None:
        async with option.begin() as connection:
            await connection.execute(RENAMING)

    await asyncio.create_task(write())
    assert [await name_async(maker), await name_async(maker)] == ["new", "new"]

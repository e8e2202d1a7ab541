"""
`FromCache` and `NoCache` on single statements, and on what is loaded lazily after them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from tests.support.models import User
from yokedcache.errors import DurationError, UsageError
from yokedcache.sqlalchemy import FromCache, NoCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session, sessionmaker

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache
    from yokedcache.testing import FakeClock

ANN = select(User).where(User.id == 1)


def read(
    blog: Blog, sessions: sessionmaker[Session], *options: Any, posts: bool = False
) -> int:
    with blog.counted() as sent, sessions() as session:
        ann = session.scalars(ANN.options(*options)).one()
        if posts:
            assert [post.author is ann for post in ann.posts] == [True, True]
    return len(sent)


def test_no_cache_neither_asks_nor_fills(blog: Blog, cache: YokedCache) -> None:
    sessions = blog.attached(cache)
    assert [read(blog, sessions, NoCache()) for _ in range(2)] == [1, 1]
    assert read(blog, sessions) == 1
    assert read(blog, sessions) == 0
    assert read(blog, sessions, NoCache()) == 1
    assert cache.stats().total.bypasses == {"no_cache": 3}


def test_no_cache_goes_for_what_is_loaded_lazily(blog: Blog, cache: YokedCache) -> None:
    sessions = blog.attached(cache)
    for _ in range(2):
        read(blog, sessions, posts=True)
    assert read(blog, sessions, posts=True) == 0
    assert read(blog, sessions, NoCache(), posts=True) == 2


WAYS: dict[str, Callable[[Session, Any], Any]] = {
    "get": lambda s, option: s.get(User, 1, options=[option]),
    "query": lambda s, option: s.query(User).options(option).filter_by(id=1).one(),
    "columns": lambda s, option: s.execute(select(User.id).options(option)).all(),
}


@pytest.mark.parametrize("way", WAYS)
def test_options_count_however_a_statement_is_made(
    blog: Blog, cache: YokedCache, way: str
) -> None:
    sessions = blog.attached(cache, tables="nothing")

    def sent(option: Any) -> int:
        with blog.counted() as sent, sessions() as session:
            WAYS[way](session, option)
        return len(sent)

    assert [sent(FromCache()) for _ in range(2)] == [1, 0]
    assert [sent(NoCache()) for _ in range(2)] == [1, 1]


def test_from_cache_goes_past_tables_also_for_what_is_loaded_lazily(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache, tables="posts")
    assert [read(blog, sessions) for _ in range(2)] == [1, 1]
    asked = [read(blog, sessions, FromCache(), posts=True) for _ in range(2)]
    assert asked == [2, 0]


@pytest.mark.parametrize("before", [True, False])
def test_the_tags_of_from_cache_invalidate_it_whoever_read_it_before(
    blog: Blog,
    cache: YokedCache,
    before: bool,
) -> None:
    sessions = blog.attached(cache)
    if before:
        read(blog, sessions, posts=True)
    tagged = FromCache(tags=["page"])
    for _ in range(2):
        read(blog, sessions, tagged, posts=True)
    assert read(blog, sessions, tagged, posts=True) == 0
    cache.sync.invalidate_tags("page")
    assert read(blog, sessions, tagged, posts=True) == 2
    assert read(blog, sessions, tagged, posts=True) == 0


def test_tags_are_the_same_in_any_order(blog: Blog, cache: YokedCache) -> None:
    sessions = blog.attached(cache)
    assert read(blog, sessions, FromCache(tags=["a", "b"])) == 1
    assert read(blog, sessions, FromCache(tags=["b", "a"])) == 0


def test_the_ttl_of_from_cache_counts_whoever_read_it_before(
    blog: Blog, clocked: YokedCache, clock: FakeClock
) -> None:
    sessions = blog.attached(clocked, ttl="1h")
    read(blog, sessions)
    clock.advance("9s")
    assert read(blog, sessions, FromCache(ttl="10s")) == 0
    clock.advance("2s")
    assert read(blog, sessions) == 0
    assert read(blog, sessions, FromCache(ttl="10s")) == 1


async def test_options_count_in_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    sessions = async_blog.attached(cache)

    async def sent(option: Any) -> int:
        with async_blog.counted() as sent:
            async with sessions() as session:
                ann = (await session.scalars(ANN.options(option))).one()
                await session.run_sync(lambda _: ann.posts)
        return len(sent)

    tagged = FromCache(tags=["page"])
    assert [await sent(tagged) for _ in range(2)] == [2, 0]
    await cache.invalidate_tags("page")
    assert await sent(tagged) == 2
    assert await sent(NoCache()) == 2


def test_options_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(DurationError):
        FromCache(ttl=0)
    with pytest.raises(UsageError, match=r"write \['page'\]"):
        FromCache(tags="page")

"""
Caches and blogs as fixtures; a folder's `conftest` names those that it wants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.databases import (
    AsyncBlog,
    Blog,
    async_blog_at,
    blog_at,
    blog_in_memory,
    sqlite_file,
)
from yokedcache import YokedCache
from yokedcache.runtime import log
from yokedcache.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from blockbuster import BlockBuster

__all__ = [
    "any_blog",
    "async_blog",
    "blog",
    "cache",
    "clock",
    "clocked",
    "may_block",
    "said",
]


@pytest.fixture
def may_block(no_blocking_calls: BlockBuster) -> Iterator[None]:
    """
    Let an app's coroutines use blocking sessions, as some do, in cached functions.
    """
    no_blocking_calls.deactivate()
    yield
    no_blocking_calls.activate()


@pytest.fixture
def cache() -> Iterator[YokedCache]:
    """
    Give a cache that no other test sees.
    """
    made = YokedCache(jitter=0)
    yield made
    made.sync.close()


@pytest.fixture
def clock() -> FakeClock:
    """
    Give a clock that only the test moves.
    """
    return FakeClock()


@pytest.fixture
def clocked(clock: FakeClock) -> Iterator[YokedCache]:
    """
    Give a cache whose time is the test's clock.
    """
    made = YokedCache(jitter=0, clock=clock)
    yield made
    made.sync.close()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """
    Give what the library logs, with nothing said before.
    """
    log.forget()
    yield caplog
    log.forget()


@pytest.fixture(params=["sqlite", "postgresql"])
def blog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blog]:
    """
    Give a blog that several connections can use at a time.
    """
    if request.param == "sqlite":
        url = f"sqlite:///{sqlite_file(tmp_path)}"
    else:
        url = request.getfixturevalue("postgres_database").url("psycopg")
    with blog_at(url) as made:
        yield made


@pytest.fixture(params=["sqlite", "memory", "postgresql"])
def any_blog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blog]:
    """
    Give a blog; in memory all sessions share one connection.
    """
    if request.param == "memory":
        with blog_in_memory() as made:
            yield made
        return
    if request.param == "sqlite":
        url = f"sqlite:///{sqlite_file(tmp_path)}"
    else:
        url = request.getfixturevalue("postgres_database").url("psycopg")
    with blog_at(url) as made:
        yield made


@pytest.fixture(params=["aiosqlite", "asyncpg", "psycopg"])
async def async_blog(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[AsyncBlog]:
    """
    Give a blog for the event loop.
    """
    if request.param == "aiosqlite":
        url = f"sqlite+aiosqlite:///{sqlite_file(tmp_path)}"
    else:
        url = request.getfixturevalue("postgres_database").url(request.param)
    async with async_blog_at(url) as made:
        yield made

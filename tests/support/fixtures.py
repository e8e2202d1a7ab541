"""
Caches and blogs as fixtures; a folder's `conftest` names those that it wants.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.databases import (
    STATEMENT_LEVEL,
    AsyncBlog,
    Blog,
    async_blog_at,
    blog_at,
    blog_in_memory,
    sqlite_file,
)
from yokedcache import YokedCache
from yokedcache.sqlalchemy.transactions import sending
from yokedcache.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from blockbuster import BlockBuster

__all__ = [
    "any_blog",
    "as_it_was",
    "async_blog",
    "blog",
    "cache",
    "clock",
    "clocked",
    "may_block",
    "no_cycles_are_freed",
    "said",
]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """
    Let no test leave the events of cursors listened to, in the whole process.
    """
    yield
    sending.ignore()


@pytest.fixture
def no_cycles_are_freed() -> Iterator[None]:
    """
    Keep what stands in circles, as it is kept by chance until the collector comes by.
    """
    gc.collect()  # what others have left
    gc.disable()
    yield
    gc.enable()


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
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """
    Give what the library logs.
    """
    return caplog


def _engine_of(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[str, dict[str, Any]]:
    """
    Return the URL and the engine's options for the database that a test wants.
    """
    driver: str = request.param
    if driver in {"sqlite", "aiosqlite"}:
        return f"sqlite+{_DRIVERS.get(driver, driver)}:///{sqlite_file(tmp_path)}", {}
    if driver in {"mariadb", "asyncmy", "aiomysql"}:
        database = request.getfixturevalue("mariadb_database")
        return database.url(_DRIVERS.get(driver, driver)), dict(STATEMENT_LEVEL)
    database = request.getfixturevalue("postgres_database")
    return database.url(_DRIVERS.get(driver, driver)), {}


_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql"}


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def blog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blog]:
    """
    Give a blog that several connections can use at a time.
    """
    url, options = _engine_of(request, tmp_path)
    with blog_at(url, **options) as made:
        yield made


@pytest.fixture(params=["sqlite", "memory", "postgresql", "mariadb"])
def any_blog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blog]:
    """
    Give a blog; in memory all sessions share one connection.
    """
    if request.param == "memory":
        with blog_in_memory() as made:
            yield made
        return
    url, options = _engine_of(request, tmp_path)
    with blog_at(url, **options) as made:
        yield made


@pytest.fixture(params=["aiosqlite", "asyncpg", "psycopg", "asyncmy"])
async def async_blog(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[AsyncBlog]:
    """
    Give a blog for the event loop.
    """
    url, options = _engine_of(request, tmp_path)
    async with async_blog_at(url, **options) as made:
        yield made

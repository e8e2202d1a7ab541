"""
Footguns 20 to 22, 24 and 39: races between a read, its fill and a commit.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache
    from yokedcache.testing import FakeClock

RENAME = update(User).where(User.id == 1).values(name="new")


def commit_elsewhere(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.execute(RENAME)


def once_after_a_select(blog: Blog, deed: Callable[[], None]) -> None:
    """
    Do a deed when the next SELECT on users was answered, before its rows are used.
    """
    done: list[str] = []

    def after(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT users") and not done:
            done.append(statement)
            deed()

    event.listen(blog.engine, "after_cursor_execute", after)


def test_footgun_20_stale_set_race_of_a_statement(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    with sessions() as session:  # whatever is learnt once was learnt
        session.scalars(select(User)).all()
    once_after_a_select(blog, lambda: commit_elsewhere(blog))
    with sessions() as session:
        assert session.get_one(User, 1).name == "ann"
    with sessions() as session:
        assert session.get_one(User, 1).name == "new"


def test_footgun_20_stale_set_race_of_a_function(blog: Blog, cache: YokedCache) -> None:
    @cached(cache=cache, ttl=60)
    def name() -> str:
        with blog.sessions() as session:
            found = session.get_one(User, 1).name
        if not races:
            races.append(commit_elsewhere(blog))
        return found

    races: list[None] = []
    assert name() == "ann"
    assert name() == "new"
    assert name() == "new"


async def test_footgun_20_stale_set_race_of_an_async_function(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    async def name() -> str:
        async with async_blog.sessions() as session:
            found = (await session.get_one(User, 1)).name
        if not races:
            races.append(1)
            async with async_blog.sessions.begin() as session:
                await session.execute(RENAME)
        return found

    races: list[int] = []
    assert await name() == "ann"
    assert await name() == "new"


async def test_footgun_20_stale_set_race_with_tags(cache: YokedCache) -> None:
    truth = "old"

    @cached(cache=cache, ttl=60, tags=["users"])
    async def read() -> str:
        nonlocal truth
        found = truth
        if truth == "old":
            truth = "new"
            await cache.invalidate_tags(["users"])
        return found

    assert await read() == "old"
    assert await read() == "new"


@pytest.mark.parametrize("method", ["delete", "invalidate"])
async def test_footgun_20_stale_set_race_with_a_key(
    cache: YokedCache, method: str
) -> None:
    truth = "old"

    @cached(cache=cache, ttl=60)
    async def read() -> str:
        nonlocal truth
        found = truth
        if truth == "old":
            truth = "new"
            if method == "delete":
                await cache.delete("key")
            else:
                read.invalidate()
        return found

    if method == "delete":

        async def fetch() -> Any:
            return await cache.get_or_set("key", read.uncached)
    else:
        fetch = read
    assert await fetch() == "old"
    assert await fetch() == "new"


@pytest.fixture
def autocommitting(blog: Blog) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(blog.engine.url, isolation_level="AUTOCOMMIT")
    yield sessionmaker(engine)
    engine.dispose()


def test_footgun_21_invalidation_before_the_write_in_autocommit(
    blog: Blog, cache: YokedCache, autocommitting: sessionmaker[Session]
) -> None:
    sessions = blog.attached(cache)

    def name() -> str:
        with sessions() as session:
            return session.get_one(User, 1).name

    seen: list[str] = []
    engine = autocommitting.kw["bind"]

    def before(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE"):
            seen.extend([name(), name()])

    assert name() == "ann"
    event.listen(engine, "before_cursor_execute", before)
    with engine.connect() as connection:
        connection.execute(text("UPDATE users SET name = 'new'"))
        assert name() == "new"  # before the connection is given back
    assert seen == ["ann", "ann"]
    assert name() == "new"


def test_footgun_22_eviction_inside_the_transaction_is_not_refilled_with_old_rows(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60, tags=["users"])
    def name() -> str:
        with blog.sessions() as session:
            return session.get_one(User, 1).name

    assert name() == "ann"
    with blog.sessions() as writer:
        writer.execute(RENAME)
        cache.sync.invalidate_tags(["users"])
        other: list[str] = []
        reader = threading.Thread(target=lambda: other.append(name()))
        reader.start()
        reader.join()
        assert other == ["ann"]
        writer.commit()
    assert name() == "new"


def test_footgun_24_a_short_lived_sibling_costs_a_tag_nothing(
    clocked: YokedCache, clock: FakeClock
) -> None:
    face = clocked.sync
    face.set("long", 1, ttl="1h", tags=["users"])
    face.set("short", 2, ttl=1, tags=["users"])
    clock.advance(60)
    assert face.get("short") is None
    assert face.get("long") == 1
    face.set("another", 3, ttl=1, tags=["users"])
    clock.advance(60)
    face.invalidate_tags(["users"])
    assert face.get("long") is None


def test_footgun_39_versions_differ_within_one_instant(
    clocked: YokedCache, clock: FakeClock
) -> None:
    face = clocked.sync
    began = clock.now
    seen = set()
    for number in range(50):
        face.set("key", number, tags=["users"])
        assert face.get("key") == number
        (entry,) = clocked.machine.store.entries.values()
        seen.add(entry.vector[0][1])
        face.invalidate_tags(["users"])
        assert face.get("key") is None
    assert clock.now == began
    assert len(seen) == 50

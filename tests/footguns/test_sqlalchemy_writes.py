"""
Footguns 5 and 8 to 14: every write is noticed, whatever made it, in time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, delete, func, insert, select, text, update

from tests.support.models import Post, User
from yokedcache import MISS, YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from tests.support.databases import AsyncBlog, Blog

RENAME = text("UPDATE users SET name = 'changed' WHERE id = 1")


def by_attribute(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "changed"


def by_update(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.execute(update(User).where(User.id == 1).values(name="changed"))


def by_query(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.query(User).filter(User.id == 1).update({"name": "changed"})


def by_bulk(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.execute(update(User), [{"id": 1, "name": "changed"}])


def by_bulk_mappings(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.bulk_update_mappings(User.__mapper__, [{"id": 1, "name": "changed"}])


def by_text(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.execute(RENAME)


def by_core(blog: Blog) -> None:
    with blog.engine.begin() as connection:
        connection.execute(update(User.__table__).values(name="changed"))


def by_core_commit(blog: Blog) -> None:
    with blog.engine.connect() as connection:
        connection.execute(RENAME)
        connection.commit()


def by_driver_sql(blog: Blog) -> None:
    with blog.engine.begin() as connection:
        connection.exec_driver_sql(str(RENAME))


def by_savepoint(blog: Blog) -> None:
    with blog.sessions.begin() as session, session.begin_nested():
        session.get_one(User, 1).name = "changed"


def by_merge(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.merge(User(id=1, name="changed"))


def by_autocommit(blog: Blog) -> None:
    engine = blog.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(RENAME)


def by_raw_connection(blog: Blog) -> None:
    raw = blog.engine.raw_connection()
    raw.cursor().execute(str(RENAME))
    raw.commit()
    raw.close()


def by_returning(blog: Blog) -> None:
    if not blog.engine.dialect.update_returning:
        pytest.skip("MariaDB has no UPDATE ... RETURNING")
    with blog.sessions.begin() as session:
        change = update(User).where(User.id == 1).values(name="changed")
        assert session.scalars(change.returning(User.id)).one() == 1


WRITES = [
    by_attribute,
    by_update,
    by_query,
    by_bulk,
    by_bulk_mappings,
    by_text,
    by_core,
    by_core_commit,
    by_driver_sql,
    by_savepoint,
    by_merge,
    by_autocommit,
    by_raw_connection,
    by_returning,
]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_footgun_05_every_way_to_write_is_noticed(
    any_blog: Blog, cache: YokedCache, write: Callable[[Blog], None]
) -> None:
    sessions = any_blog.attached(cache)

    @cached(cache=cache, ttl=60)
    def name() -> str:
        with any_blog.sessions() as session:
            return session.get_one(User, 1).name

    def asked() -> tuple[str, str]:
        with sessions() as session:
            return session.get_one(User, 1).name, name()

    assert asked() == ("ann", "ann")
    with any_blog.counted() as sent:
        assert asked() == ("ann", "ann")
    assert sent == []
    write(any_blog)
    assert asked() == ("changed", "changed")


def test_footgun_05_a_write_through_an_attached_session_is_noticed(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)
    with sessions() as session:
        ann = session.get_one(User, 1)
        ann.name = "changed"
        session.commit()
        assert ann.name == "changed"
    with sessions() as session:
        assert session.get_one(User, 1).name == "changed"


def test_footgun_05_an_engine_that_only_writes_is_heard(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    writer = create_engine(blog.engine.url)

    def seen() -> tuple[str, str]:
        with sessions() as session:
            return session.get_one(User, 1).name, session.get_one(Post, 11).title

    assert seen() == ("ann", "ann's 1")
    with writer.begin() as connection:
        connection.execute(update(User).values(name="changed"))
    with blog.counted() as sent:
        assert seen() == ("changed", "ann's 1")
    assert len(sent) == 1  # posts were not written, so they are served
    writer.dispose()


async def test_footgun_05_async_writes_are_noticed(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    sessions = async_blog.attached(cache)

    async def name() -> str:
        async with sessions() as session:
            return (await session.get_one(User, 1)).name

    assert [await name(), await name()] == ["ann", "ann"]
    async with async_blog.sessions() as session:
        (await session.get_one(User, 1)).name = "first"
        await session.commit()
    assert await name() == "first"
    async with async_blog.engine.begin() as connection:
        await connection.execute(text("UPDATE users SET name = 'second'"))
    assert await name() == "second"
    async with sessions() as session:
        await session.execute(update(User).values(name="third"))
        await session.commit()
    assert await name() == "third"


def lists(session: Session) -> tuple[Any, ...]:
    return (
        session.scalars(select(User.name).where(User.active).order_by(User.id)).all(),
        session.scalar(select(func.count()).select_from(User)),
        session.scalar(select(func.count()).where(User.active)),
        session.query(User).filter(User.name == "dan").all(),
    )


def test_footgun_08_lists_and_counts_see_inserts_moves_and_deletes(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)

    def seen() -> tuple[Any, ...]:
        with sessions() as session:
            names, number, active, dan = lists(session)
            return names, number, active, [user.name for user in dan]

    assert seen() == (["ann", "bob", "eve"], 3, 3, [])
    with any_blog.sessions.begin() as session:
        session.add(User(id=4, name="dan", active=False))
    assert seen() == (["ann", "bob", "eve"], 4, 3, ["dan"])
    with any_blog.sessions.begin() as session:
        session.get_one(User, 4).active = True
    assert seen() == (["ann", "bob", "eve", "dan"], 4, 4, ["dan"])
    with any_blog.sessions.begin() as session:
        session.execute(delete(User).where(User.id == 4))
    assert seen() == (["ann", "bob", "eve"], 3, 3, [])
    with any_blog.sessions.begin() as session:
        session.execute(
            insert(User), [{"id": 5, "name": "dan"}, {"id": 6, "name": "f"}]
        )
    assert seen() == (["ann", "bob", "eve", "dan", "f"], 5, 5, ["dan"])


def test_footgun_09_no_model_needs_to_be_registered(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)

    def title() -> str:
        with sessions() as session:
            return session.get_one(Post, 11).title

    assert [title(), title()] == ["ann's 1", "ann's 1"]
    with any_blog.sessions.begin() as session:
        session.get_one(Post, 11).title = "new"
    assert title() == "new"


def test_footgun_10_joined_tables_are_dependencies(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)
    joined = select(Post).join(User).where(User.active).order_by(Post.id)
    columns = select(Post.title, User.name).join(User).where(Post.id == 11)
    exists = select(Post.id).where(Post.author.has(User.name == "zoe"))

    def seen() -> tuple[int, list[tuple[str, str]], int]:
        with sessions() as session:
            return (
                len(session.scalars(joined).all()),
                [tuple(row) for row in session.execute(columns)],
                len(session.scalars(exists).all()),
            )

    assert seen() == (6, [("ann's 1", "ann")], 0)
    with any_blog.sessions.begin() as session:
        session.execute(update(User).where(User.id == 2).values(active=False))
    assert seen() == (4, [("ann's 1", "ann")], 0)
    with any_blog.sessions.begin() as session:
        session.execute(update(User).where(User.id == 1).values(name="zoe"))
    assert seen() == (4, [("ann's 1", "zoe")], 2)


def test_footgun_11_a_savepoint_rolled_back_forgets_nothing(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)

    def seen() -> tuple[str, str]:
        with sessions() as session:
            return session.get_one(User, 1).name, session.get_one(Post, 11).title

    assert seen() == ("ann", "ann's 1")
    with any_blog.sessions() as session:
        session.get_one(User, 1).name = "outer"
        session.flush()
        nested = session.begin_nested()
        session.get_one(Post, 11).title = "inner"
        session.flush()
        nested.rollback()
        session.commit()
    assert seen() == ("outer", "ann's 1")


def test_footgun_12_the_commit_has_invalidated_when_it_returns(
    any_blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    def count() -> int:
        with any_blog.sessions() as session:
            return session.scalar(select(func.count()).select_from(User)) or 0

    assert count() == 3
    assert count.peek() == 3
    with any_blog.sessions() as session:
        session.add(User(id=4, name="dan"))
        session.commit()
        assert count.peek() is MISS
    assert count() == 4


async def test_footgun_12_the_commit_has_invalidated_when_its_await_ends(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    async def count() -> int:
        async with async_blog.sessions() as session:
            return await session.scalar(select(func.count()).select_from(User)) or 0

    assert await count() == 3
    before = asyncio.all_tasks()
    async with async_blog.sessions() as session:
        session.add(User(id=4, name="dan"))
        await session.commit()
        assert count.peek() is MISS
    # nothing was left to a task that may run later, or never
    assert asyncio.all_tasks() == before
    assert await count() == 4


class Repository:
    def __init__(self, session: Session) -> None:
        self.session = session


def test_footgun_13_changes_outside_the_repository_are_seen(
    any_blog: Blog, cache: YokedCache
) -> None:
    class Users(Repository):
        @cached(cache=cache, ttl=60)
        def find(self, number: int) -> User | None:
            return self.session.get(User, number)

        @cached(cache=cache, ttl=60)
        def listed(self) -> list[User]:
            return list(self.session.scalars(select(User).order_by(User.id)))

    def seen() -> tuple[str, int]:
        with any_blog.sessions() as session:
            users = Users(session)
            found = users.find(1)
            assert found is not None
            return found.name, len(users.listed())

    assert seen() == seen() == ("ann", 3)
    with any_blog.engine.begin() as connection:
        connection.execute(RENAME)
        connection.execute(text("INSERT INTO users VALUES (8, 'dan', true)"))
    assert seen() == ("changed", 4)


def test_footgun_14_every_change_reaches_every_cache(any_blog: Blog) -> None:
    caches = [YokedCache(jitter=0) for _ in range(2)]
    readers = []
    for one in caches:

        @cached(cache=one, ttl=60)
        def name() -> str:
            with any_blog.sessions() as session:
                return session.get_one(User, 1).name

        readers.append(name)
    for number in range(4):
        with any_blog.sessions.begin() as session:
            session.get_one(User, 1).name = f"version {number}"
        for _ in range(2):
            assert [read() for read in readers] == [f"version {number}"] * 2
    for one in caches:
        assert one.stats().total.hits == 4
        one.sync.close()

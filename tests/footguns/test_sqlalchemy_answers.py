"""
Footguns 1 to 4, 6, 7, 15 and 17: what a session is given when it is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, object_session, scoped_session, selectinload

from tests.support.databases import Statements, twin
from tests.support.models import Post, User
from yokedcache import cached, cached_dependency

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache


def test_footgun_01_lost_update(any_blog: Blog, cache: YokedCache) -> None:
    sessions = any_blog.attached(cache, autoflush=False)
    query = select(User).where(User.id == 1)
    with sessions() as session:
        session.scalars(query).all()
    with sessions() as session:
        ann = session.get_one(User, 1)
        ann.name = "anna"
        with any_blog.counted() as sent:
            again = session.scalars(query).one()
        assert sent == []
        assert again is ann
        assert ann.name == "anna"
        assert inspect(ann).modified
        session.commit()
    with any_blog.sessions() as session:
        assert session.get_one(User, 1).name == "anna"


async def test_footgun_01_lost_update_async(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    sessions = async_blog.attached(cache, autoflush=False)
    query = select(User).where(User.id == 1)
    async with sessions() as session:
        (await session.scalars(query)).all()
    async with sessions() as session:
        ann = (await session.scalars(query)).one()
        ann.name = "anna"
        with async_blog.counted() as sent:
            again = (await session.scalars(query)).one()
        assert sent == []
        assert again is ann
        assert ann.name == "anna"
        await session.commit()
    async with async_blog.sessions() as session:
        assert (await session.get_one(User, 1)).name == "anna"


def test_footgun_02_uncommitted_data_is_not_published(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)
    names = select(User.name).order_by(User.id)

    @cached(cache=cache, ttl=60)
    def all_names(session: Session) -> list[str]:
        return list(session.scalars(names))

    with sessions() as session:
        session.add(User(id=9, name="ghost"))
        session.flush()
        assert "ghost" in session.scalars(names).all()
        assert "ghost" in all_names(session)
        session.rollback()
        assert "ghost" not in session.scalars(names).all()
    with sessions() as session:
        assert session.scalars(names).all() == ["ann", "bob", "eve"]
        assert all_names(session) == ["ann", "bob", "eve"]


def test_footgun_02_others_see_nothing_uncommitted_meanwhile(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    names = select(User.name).order_by(User.id)

    def seen_by_others() -> list[str]:
        with sessions() as session:
            return list(session.scalars(names))

    with sessions() as session:
        session.add(User(id=9, name="ghost"))
        session.flush()
        for _ in range(2):
            assert "ghost" in session.scalars(names).all()
            assert seen_by_others() == ["ann", "bob", "eve"]
        session.rollback()
    assert seen_by_others() == ["ann", "bob", "eve"]


def test_footgun_02_a_function_inside_a_transaction_sees_its_writes(
    any_blog: Blog, cache: YokedCache
) -> None:
    current = scoped_session(any_blog.sessions)

    @cached(cache=cache, ttl=60)
    def count() -> int:
        return current.scalar(select(func.count()).select_from(User)) or 0

    assert [count(), count()] == [3, 3]
    current.add(User(id=9, name="ghost"))
    current.flush()
    assert [count(), count()] == [4, 4]
    current.rollback()
    assert [count(), count()] == [3, 3]
    current.add(User(id=9, name="dan"))
    current.commit()
    assert [count(), count()] == [4, 4]
    current.remove()


async def test_footgun_02_uncommitted_data_is_not_published_async(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    sessions = async_blog.attached(cache)
    names = select(User.name).order_by(User.id)

    @cached(cache=cache, ttl=60)
    async def all_names(session: AsyncSession) -> list[str]:
        return list(await session.scalars(names))

    async with sessions() as session:
        session.add(User(id=9, name="ghost"))
        await session.flush()
        assert "ghost" in (await session.scalars(names)).all()
        assert "ghost" in await all_names(session)
        await session.rollback()
    async with sessions() as session:
        assert (await session.scalars(names)).all() == ["ann", "bob", "eve"]
        assert await all_names(session) == ["ann", "bob", "eve"]


def test_footgun_03_a_hit_gives_a_persistent_object(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)
    with sessions() as session:
        session.get_one(User, 1)
    with sessions() as session:
        with any_blog.counted() as sent:
            ann = session.get_one(User, 1)
        assert sent == []
        assert type(ann) is User
        assert inspect(ann).persistent
        assert object_session(ann) is session
        session.add(ann)
        with any_blog.counted() as sent:
            session.commit()
        assert sent == []


def test_footgun_03_a_cached_function_gives_a_persistent_object(
    any_blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    def find(session: Session, number: int) -> User | None:
        return session.get(User, number)

    with any_blog.sessions() as session:
        find(session, 1)
    with any_blog.sessions() as session:
        with any_blog.counted() as sent:
            ann = find(session, 1)
        assert sent == []
        assert ann is not None
        assert inspect(ann).persistent
        assert object_session(ann) is session
        ann.name = "anna"
        session.commit()
    with any_blog.sessions() as session:
        assert session.get_one(User, 1).name == "anna"
        assert session.scalar(select(func.count()).select_from(User)) == 3


READS: dict[str, Callable[[Session], Any]] = {
    "execute": lambda s: [tuple(row) for row in s.execute(select(User.id, User.name))],
    "scalars": lambda s: [user.name for user in s.scalars(select(User))],
    "scalar": lambda s: s.scalar(select(func.count()).select_from(User)),
    "get": lambda s: s.get_one(User, 1).name,
    "query": lambda s: [user.name for user in s.query(User).all()],
    "query_first": lambda s: s.query(User).order_by(User.id).first().name,  # type: ignore[union-attr]
    "query_count": lambda s: s.query(User).count(),
    "lazy": lambda s: [post.title for post in s.get_one(User, 1).posts],
    "eager": lambda s: [
        post.title
        for user in s.scalars(select(User).options(selectinload(User.posts)))
        for post in user.posts
    ],
}


@pytest.mark.parametrize("read", READS.values(), ids=list(READS))
def test_footgun_04_every_way_to_read_is_served(
    any_blog: Blog, cache: YokedCache, read: Callable[[Session], Any]
) -> None:
    sessions = any_blog.attached(cache)
    with sessions() as session:
        first = read(session)
    with any_blog.counted() as sent, sessions() as session:
        second = read(session)
    assert sent == []
    assert second == first
    assert first


def test_footgun_04_the_second_call_over_a_new_engine_is_served(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    def find(session: Session, number: int) -> str:
        return session.get_one(User, number).name

    engine = twin(blog.engine)
    statements = Statements(engine)
    sent: list[int] = []
    for _ in range(2):
        with statements.counted() as now, Session(engine) as session:
            assert find(session, 1) == "ann"
        sent.append(len(now))
    assert sent == [1, 0]
    engine.dispose()


def test_footgun_06_a_dependency_yields_the_session_itself(
    any_blog: Blog, cache: YokedCache
) -> None:
    made: list[Session] = []

    def get_session() -> Iterator[Session]:
        with any_blog.sessions() as session:
            made.append(session)
            yield session

    dependency = cached_dependency(get_session, cache=cache)
    with next(dependency()) as session:
        assert session is made[0]
        assert type(session) is type(any_blog.sessions())
        session.add(User(id=7, name="dan"))
        session.commit()
    with any_blog.sessions() as session:
        assert session.get_one(User, 7).name == "dan"


async def test_footgun_06_an_async_dependency_yields_the_session_itself(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    made: list[AsyncSession] = []

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with async_blog.sessions() as session:
            made.append(session)
            yield session

    dependency = cached_dependency(get_session, cache=cache)
    generator = dependency()
    async with await anext(generator) as session, session.begin():
        assert session is made[0]
        assert type(session) is AsyncSession
        session.add(User(id=7, name="dan"))
    await generator.aclose()
    async with async_blog.sessions() as session:
        assert (await session.get_one(User, 7)).name == "dan"


def test_footgun_07_a_query_is_not_a_value(any_blog: Blog, cache: YokedCache) -> None:
    @cached(cache=cache, ttl=60)
    def users(session: Session) -> Any:
        return session.query(User)

    for _ in range(3):
        with any_blog.sessions() as session:
            assert users(session).count() == 3
    (counts,) = [
        c for name, c in cache.stats().by_name.items() if name.endswith("users")
    ]
    assert counts.refusals == {"unstorable": 3}
    assert cache.stats().entries == 0


def test_footgun_15_any_select_on_a_model_works(
    any_blog: Blog, cache: YokedCache
) -> None:
    posts_of = (
        select(User.name, func.count(Post.id))
        .join(Post)
        .group_by(User.name)
        .having(func.count(Post.id) > 1)
        .order_by(User.name)
    )
    inner = select(User).where(User.id > 1).subquery()
    union = select(User.name).union(select(Post.title))
    sessions = any_blog.attached(cache)
    for query in (posts_of, select(inner), union, select(User, Post).join(Post)):
        with any_blog.sessions() as session:
            truth = sorted(map(str, session.execute(query).all()))
        for _ in range(2):
            with sessions() as session:
                rows = session.execute(query).all()
            if query is not posts_of and "Post" in str(query):
                continue
            assert len(rows) == len(truth)


def test_footgun_17_relations_of_served_objects_load(
    any_blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    def find(session: Session, number: int) -> User | None:
        return session.get(User, number)

    attached = any_blog.attached(cache)
    for maker in (any_blog.sessions, attached):
        for _ in range(2):
            with maker() as session:
                ann = session.scalars(select(User).where(User.id == 1)).one()
                assert [post.id for post in ann.posts] == [11, 12]
            with maker() as session:
                found = find(session, 2)
                assert found is not None
                assert [post.id for post in found.posts] == [21, 22]
                assert found.posts[0].author is found

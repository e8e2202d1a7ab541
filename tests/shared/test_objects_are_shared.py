"""
Rows and mapped objects, as they come out of a store that processes share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from tests.shared.functions import Copy
from tests.support.fixtures import async_blog, blog
from tests.support.models import Post, User
from yokedcache.core.entry import Entry, Lifetime
from yokedcache.errors import PayloadError
from yokedcache.shared.belonging import Belonging
from yokedcache.shared.payloads import pack, unpack

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

    Caches = tuple[YokedCache, YokedCache]

__all__ = ["async_blog", "blog"]


class Pair(NamedTuple):
    """
    What a function may give.
    """

    left: Any
    right: Any


SHAPES = {
    "one": lambda s: s.get(User, 1),
    "none": lambda s: s.get(User, 99),
    "list": lambda s: s.scalars(select(User).order_by(User.id)).all(),
    "dict": lambda s: {1: s.get(User, 1), "posts": [s.get(Post, 11)]},
    "tuple": lambda s: (s.get(User, 1), 3, [1, 2]),
    "set": lambda s: {s.get(User, 1)},
    "pair": lambda s: Pair(s.get(User, 1), s.get(User, 2)),
    "related": lambda s: s.scalars(
        select(User).order_by(User.id).options(selectinload(User.posts))
    ).all(),
    "circle": lambda s: s.scalars(
        select(User)
        .where(User.id == 1)
        .options(selectinload(User.posts).selectinload(Post.author))
    ).all(),
}


def told(value: Any) -> Any:
    """
    Say what a value is made of, objects by what was loaded.
    """
    if isinstance(value, (User, Post)):
        loaded = {k: v for k, v in value.__dict__.items() if k[0] != "_"}
        posts = loaded.pop("posts", None)
        author = loaded.pop("author", None)
        return (
            type(value).__name__,
            loaded,
            posts and [post.id for post in posts],
            author and (author.id, type(author).__name__),
        )
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value).__name__, [told(item) for item in value]
    return value


@pytest.mark.parametrize("name", SHAPES)
def test_objects_come_out_as_they_went_in(
    caches: Caches, blog: Blog, name: str
) -> None:
    def body(_: int) -> Any:
        with blog.sessions() as session:
            return SHAPES[name](session)

    one, other = (Copy(cache, f"objects_{name}", body) for cache in caches)
    expected = told(one(1))
    # who listens in this process is learnt by running it once
    assert told(other(1)) == expected
    caches[1].machine.store.entries.clear()
    before = list(other.calls)
    assert told(other(1)) == expected
    assert other.calls == before
    assert caches[1].stats().unreadable == 0


def test_an_object_belongs_to_the_callers_session(caches: Caches, blog: Blog) -> None:
    from yokedcache import cached

    cache = caches[0]

    @cached(cache=cache)
    def load(session: Any, number: int) -> User:
        found: User = session.get_one(User, number)
        return found

    with blog.sessions() as session:
        load(session, 1)
    cache.machine.store.entries.clear()
    with blog.sessions() as session, blog.statements.counted() as sent:
        user = load(session, 1)
        assert user in session
        assert user is session.get(User, 1)
    assert sent == []


def test_rows_answer_through_another_cache(caches: Caches, blog: Blog) -> None:
    one, other = (blog.attached(cache) for cache in caches)
    statement = select(User).options(selectinload(User.posts)).order_by(User.id)
    for maker in (one, one, other, other):
        with maker() as session, blog.statements.counted() as sent:
            users = session.scalars(statement).all()
            assert [len(user.posts) for user in users] == [2, 2, 2]
    assert sent == []
    assert caches[1].stats().by_name["statements"].loads == 0
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "new"
    for maker in (other, one):
        with maker() as session:
            assert session.scalars(statement).first().name == "new"


async def test_rows_answer_async_sessions(
    caches: Caches, async_blog: AsyncBlog
) -> None:
    one, other = (async_blog.attached(cache) for cache in caches)
    statement = select(User.name).order_by(User.id)
    for maker in (one, one, other, other):
        async with maker() as session:
            names = (await session.scalars(statement)).all()
            assert list(names) == ["ann", "bob", "eve"]
    assert caches[1].stats().by_name["statements"].loads == 0
    async with async_blog.sessions() as session:
        (await session.get_one(User, 1)).name = "new"
        await session.commit()
    for maker in (other, one):
        async with maker() as session:
            assert (await session.scalars(statement)).first() == "new"
    for cache in caches:
        await cache.close()


def test_an_object_whose_class_has_changed_is_a_miss(blog: Blog) -> None:
    from yokedcache.sqlalchemy import sharing
    from yokedcache.sqlalchemy.functions.entities import Album

    sharing.install()  # as a shared cache does that is made
    with blog.sessions() as session:
        album = Album(session.get_one(User, 1))
    entry = Entry(
        album.root,
        copier=album,
        vector=(),
        born=0.0,
        cost=0.0,
        lifetime=Lifetime(1.0),
        weight=1,
    )
    everybody = Belonging()
    told = unpack(pack(entry, everybody), everybody)
    assert told.copier.attach(told.value, None) is not None
    picture = album.pictures[0]
    picture.values.append(("no_such_column", 1, None))
    with pytest.raises(PayloadError, match="no_such_column"):
        unpack(pack(entry, everybody), everybody)

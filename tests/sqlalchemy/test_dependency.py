"""
`cached_dependency`: every kind of dependency, kept as it is.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tests.support.models import Post, User
from yokedcache import cached, cached_dependency
from yokedcache.errors import DeclarationError, DurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

NAMES = select(User.name).order_by(User.id)
TITLES = select(Post.title).order_by(Post.id)


def generator(blog: Blog) -> Any:
    def get() -> Iterator[Session]:
        with blog.sessions() as session:
            yield session

    return get


def an_object(blog: Blog) -> Any:
    class Get:
        def __call__(self) -> Iterator[Session]:
            with blog.sessions() as session:
                yield session

    return Get()


def manager(blog: Blog) -> Any:
    return contextlib.contextmanager(generator(blog))


def plain(blog: Blog) -> Any:
    return blog.sessions


KINDS = [generator, an_object, manager, plain]


def used(given: Any) -> contextlib.AbstractContextManager[Session]:
    """
    Use what a dependency gave as a framework does.
    """
    if inspect.isgenerator(given):
        return contextlib.contextmanager(lambda: given)()
    return given  # type: ignore[no-any-return]


@pytest.mark.parametrize("make", KINDS)
def test_a_dependency_of_any_kind(
    blog: Blog, cache: YokedCache, make: Callable[[Blog], Any]
) -> None:
    original = make(blog)
    dependency = cached_dependency(original, cache=cache, ttl=60)
    assert inspect.signature(dependency) == inspect.signature(original)
    for _ in range(2):
        with blog.counted() as sent, used(dependency()) as session:
            assert type(session) is type(blog.sessions())
            assert session.scalars(NAMES).all() == ["ann", "bob", "eve"]
    assert sent == []


def async_generator(blog: AsyncBlog) -> Any:
    async def get() -> AsyncIterator[AsyncSession]:
        async with blog.sessions() as session:
            yield session

    return get


def an_async_object(blog: AsyncBlog) -> Any:
    class Get:
        async def __call__(self) -> AsyncIterator[AsyncSession]:
            async with blog.sessions() as session:
                yield session

    return Get()


def async_manager(blog: AsyncBlog) -> Any:
    return contextlib.asynccontextmanager(async_generator(blog))


def coroutine(blog: AsyncBlog) -> Any:
    async def get() -> AsyncSession:
        return blog.sessions()

    return get


def plain_async(blog: AsyncBlog) -> Any:
    return blog.sessions


ASYNC_KINDS = [async_generator, an_async_object, async_manager, coroutine, plain_async]


@pytest.mark.parametrize("make", ASYNC_KINDS)
async def test_an_async_dependency_of_any_kind(
    async_blog: AsyncBlog, cache: YokedCache, make: Callable[[AsyncBlog], Any]
) -> None:
    dependency = cached_dependency(make(async_blog), cache=cache, ttl=60)
    for _ in range(2):
        with async_blog.counted() as sent:
            given = dependency()
            if inspect.isasyncgen(given):
                given = contextlib.asynccontextmanager(lambda made=given: made)()
            elif inspect.isawaitable(given):
                given = await given
            async with given as session:
                assert type(session) is AsyncSession
                assert (await session.scalars(NAMES)).all() == ["ann", "bob", "eve"]
    assert sent == []


@pytest.mark.parametrize(
    ("table_name", "cached_names", "cached_titles"),
    [
        (None, True, True),
        ("auto_detect", True, True),
        ("posts", False, True),
        (["posts", "users"], True, True),
    ],
)
def test_table_name_says_what_is_cached(
    blog: Blog,
    cache: YokedCache,
    table_name: Any,
    cached_names: bool,
    cached_titles: bool,
) -> None:
    dependency = cached_dependency(
        generator(blog), cache=cache, ttl=60, table_name=table_name
    )

    def kept(statement: Any) -> bool:
        for _ in range(2):
            with blog.counted() as sent, used(dependency()) as session:
                session.scalars(statement).all()
        return not sent

    assert (kept(NAMES), kept(TITLES)) == (cached_names, cached_titles)


@pytest.mark.usefixtures("may_block")
async def test_commit_may_be_awaited_or_not(blog: Blog, cache: YokedCache) -> None:
    dependency = cached_dependency(plain(blog), cache=cache)
    with dependency() as session:
        session.add(User(id=7, name="gus"))
        done = session.commit()
        assert not done
        assert not inspect.iscoroutine(done)
        session.add(User(id=8, name="hal"))
        assert await session.commit() is None
    with blog.sessions() as session:
        assert session.scalars(NAMES).all()[-2:] == ["gus", "hal"]


def test_what_the_user_of_a_dependency_raises_reaches_it(
    blog: Blog, cache: YokedCache
) -> None:
    seen: list[str] = []

    def get() -> Iterator[Session]:
        try:
            yield blog.sessions()
        except ValueError:
            seen.append("raised")
            raise
        finally:
            seen.append("closed")

    given = cached_dependency(get, cache=cache)()
    next(given)
    with pytest.raises(ValueError, match="wrong"):
        given.throw(ValueError("wrong"))
    assert seen == ["raised", "closed"]


def test_a_dependency_that_raises_before_it_yields(cache: YokedCache) -> None:
    def get() -> Iterator[Session]:
        raise LookupError("no database")
        yield

    with pytest.raises(LookupError, match="no database"):
        next(cached_dependency(get, cache=cache)())


@pytest.mark.parametrize("thing", [3, None, "get_session", Session])
def test_only_functions_are_wrapped(cache: YokedCache, thing: Any) -> None:
    with pytest.raises(DeclarationError, match="takes a function that yields"):
        cached_dependency(thing, cache=cache)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ttl": -1}, DurationError),
        ({"table_name": []}, DeclarationError),
        ({"table_name": 3}, DeclarationError),
        ({"cache": 3}, DeclarationError),
    ],
)
def test_options_are_checked_at_once(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(options))):
        cached_dependency(lambda: None, **options)


def test_a_cache_is_a_cache() -> None:
    with pytest.raises(DeclarationError, match="cache=3"):
        cached(cache=3)(len)  # type: ignore[call-overload]

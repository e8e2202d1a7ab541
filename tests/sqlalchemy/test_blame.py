"""
`explain` names what invalidated an answer last, and where that stands in the code.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text, update

from tests.support.models import Post, User
from yokedcache import cached
from yokedcache.core.causes import Cause, Causes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

USERS = select(func.count(User.id))


def flushes(blog: Blog) -> None:
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "new"


def executes(blog: Blog) -> None:
    with blog.engine.begin() as connection:
        connection.execute(update(User).values(name="newer"))


def sends_text(blog: Blog) -> None:
    with blog.engine.begin() as connection:
        connection.execute(text("UPDATE users SET name = 'x'"))


def commits_each(blog: Blog) -> None:
    engine = blog.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(update(User).values(name="newest"))


def rolls_back(blog: Blog) -> None:
    with blog.sessions() as session:
        session.execute(update(User).values(name="never"))


@pytest.mark.parametrize(
    "change", [flushes, executes, sends_text, commits_each, rolls_back]
)
def test_a_write_is_named_with_its_place(
    blog: Blog, cache: YokedCache, change: Callable[[Blog], None]
) -> None:
    maker = blog.attached(cache)

    @cached(cache=cache)
    def called() -> Any:
        with blog.sessions() as session:
            return session.scalar(USERS)

    def asked() -> Any:
        with maker() as session:
            session.execute(USERS).all()
            return cache.explain(USERS, session=session)

    called()
    assert asked().served
    before = cache.explain(called).invalidated_by
    change(blog)
    for explained in (cache.explain(called), called() and cache.explain(called)):
        by = explained.invalidated_by
        assert by != before
        assert by.startswith("UPDATE users SET name")
        assert f"{__file__}:" in by
        assert by.endswith(f" in {change.__name__})")
        assert f"last invalidated by: {by}" in str(explained)
    assert asked().invalidated_by == by


def test_each_table_has_its_own(blog: Blog, cache: YokedCache) -> None:
    @cached(cache=cache)
    def posts() -> Any:
        with blog.sessions() as session:
            return session.scalar(select(func.count(Post.id)))

    @cached(cache=cache)
    def users() -> Any:
        with blog.sessions() as session:
            return session.scalar(USERS)

    posts()
    users()
    with blog.sessions.begin() as session:
        session.execute(update(Post).values(title="x"))
        session.execute(update(User).values(name="x"))
    assert cache.explain(posts).invalidated_by.startswith("UPDATE posts")
    assert cache.explain(users).invalidated_by.startswith("UPDATE users")


def test_what_is_gone_is_still_explained(blog: Blog, cache: YokedCache) -> None:
    @cached(cache=cache)
    def called() -> Any:
        with blog.sessions() as session:
            return session.scalar(USERS)

    called()
    flushes(blog)
    with blog.sessions() as session:
        session.execute(text("SELECT 1"))
    called.peek()  # type: ignore[attr-defined]
    explained = cache.explain(called)
    assert not explained.served
    assert "users" in explained.reason
    assert explained.invalidated_by.endswith("in flushes)")


def test_invalidations_by_hand_are_named(cache: YokedCache) -> None:
    @cached(cache=cache, tags=["numbers"])
    def called() -> int:
        return 1

    called()
    cache.sync.invalidate_tags("numbers")
    expected = f"{__file__}:{sys._getframe().f_lineno - 1}"
    assert cache.explain(called).invalidated_by.startswith(
        f"invalidate_tags() ({expected} in test_invalidations"
    )


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
async def test_a_write_of_an_async_session(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    @cached(cache=cache)
    async def called() -> Any:
        async with async_blog.sessions() as session:
            return await session.scalar(USERS)

    async def rename() -> None:
        async with async_blog.sessions() as session:
            (await session.get_one(User, 1)).name = "new"
            await session.commit()

    await called()
    await rename()
    by = cache.explain(called).invalidated_by
    assert by is not None
    assert by.startswith("UPDATE users SET name")
    assert by.endswith("in rename)")


def test_causes_are_bounded_and_the_last_one_counts() -> None:
    causes = Causes()
    for number in range(5000):
        causes.note((number % 3000,), Cause(f"write {number}", lambda: None), number)
    assert causes.last([2999, 2000]) is None
    assert str(causes.last([0, 2999])) == "write 3000"
    assert str(causes.last([1999, 0, 1])) == "write 4999"
    assert causes.last([]) is None
    assert [name for name, _ in causes.since(4998)] == [1999, 1998]


def test_long_statements_are_cut() -> None:
    shown = str(Cause("SELECT\n  " + "x" * 999, lambda: "app.py:1 in f"))
    assert shown.startswith("SELECT xxx")
    assert shown.endswith("... (app.py:1 in f)")
    assert len(shown) < 350

"""
The tutorial's page, executed as written, and then used as a reader would.

All snippets run in one namespace, in the order of the page; the file names in
their first lines are modules that stand for that namespace.
"""

from __future__ import annotations

import asyncio
import re
import sys
import types
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import object_session

from tests.tutorial.conftest import PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("may_block")

SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"#\s*(\w+)\.py\n")


class Tutorial:
    """
    The page's names, and the statements that its engine sent.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.sent: list[str] = []
        event.listen(names["engine"], "after_cursor_execute", self._note)

    def __getattr__(self, name: str) -> Any:
        return self.names[name]

    def _note(self, _c: Any, _k: Any, statement: str, *_: Any) -> None:
        self.sent.append(statement)

    def take(self) -> list[str]:
        sent, self.sent = self.sent, []
        return sent


def run_snippets(module: types.ModuleType) -> int:
    snippets = SNIPPET.findall(PAGE.read_text())
    for number, snippet in enumerate(snippets):
        named = FILE.match(snippet)
        assert named is not None, snippet
        sys.modules[named[1]] = module
        code = compile(snippet, f"<snippet {number} of the tutorial>", "exec")
        exec(code, module.__dict__)
    return len(snippets)


@pytest.fixture
async def page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_default_cache: None
) -> AsyncIterator[Tutorial]:
    """
    Give what the page defines, over a database with some users and posts.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("YOKEDCACHE_URL", raising=False)
    before = dict(sys.modules)
    module = types.ModuleType("tutorial")
    sys.modules["tutorial"] = module
    # the page uses names that SQLAlchemy and Python have moved or replaced since
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run_snippets(module) >= 6
        names = module.__dict__
        with names["SessionLocal"]() as session:
            for number in (1, 2, 3):
                user = names["User"](
                    username=f"u{number}", email=f"u{number}@x", full_name=f"U {number}"
                )
                user.posts = [
                    names["Post"](
                        title=f"p{number}", content="long " * 60, published=True
                    )
                ]
                session.add(user)
            session.commit()
        yield Tutorial(names)
    names["engine"].dispose()
    for name in set(sys.modules) - set(before):
        if sys.modules[name] is module:
            del sys.modules[name]


async def test_the_functions_are_served_the_second_time(page: Tutorial) -> None:
    calls = [
        lambda: page.get_user_by_id(1),
        lambda: page.get_user_by_id(99),
        lambda: page.get_published_posts(limit=2),
        page.get_user_stats,
    ]
    for call in calls:
        page.take()
        first = await call()
        assert page.take()
        assert await call() == first
        assert page.take() == []
    assert (await page.get_user_by_id(1))["username"] == "u1"
    assert await page.get_user_by_id(99) is None
    assert len(await page.get_published_posts(limit=2)) == 2
    assert (await page.get_user_stats())["total_posts"] == 3


def rename_by_session(page: Tutorial, name: str) -> None:
    with page.SessionLocal() as session:
        session.get(page.User, 1).full_name = name
        session.commit()


def rename_by_cached_session(page: Tutorial, name: str) -> None:
    with next(page.cached_get_session()) as session:
        session.get(page.User, 1).full_name = name
        session.commit()


def rename_by_core(page: Tutorial, name: str) -> None:
    table = page.User.__table__
    with page.engine.begin() as connection:
        connection.execute(table.update().where(table.c.id == 1).values(full_name=name))


def rename_by_text(page: Tutorial, name: str) -> None:
    with page.engine.begin() as connection:
        change = text("UPDATE users SET full_name = :name WHERE id = 1")
        connection.execute(change, {"name": name})


WRITES = [rename_by_session, rename_by_cached_session, rename_by_core, rename_by_text]


async def test_every_commit_is_visible_to_the_next_call(page: Tutorial) -> None:
    async def seen() -> list[str]:
        user = await page.get_user_by_id(1)
        posts = await page.get_published_posts()
        (author,) = [p["author"] for p in posts if p["author"]["id"] == 1]
        with next(page.cached_get_session()) as session:
            direct = session.get(page.User, 1).full_name
        with next(page.users_cached_session()) as session:
            users = page.UserRepository(session)
            found = (await users.get_by_id(1)).full_name
            listed = [u.full_name for u in await users.get_active_users() if u.id == 1]
        return [user["full_name"], author["full_name"], direct, found, *listed]

    assert await seen() == await seen() == ["U 1"] * 5
    for number, write in enumerate(WRITES):
        write(page, f"name {number}")
        assert await seen() == [f"name {number}"] * 5
        page.take()
        assert await seen() == [f"name {number}"] * 5
        assert page.take() == []


@pytest.mark.parametrize(
    "maker", ["SessionLocal", "cached_get_session", "users_cached_session"]
)
async def test_repositories_give_users_of_their_session(
    page: Tutorial, maker: str
) -> None:
    for attempt in range(3):
        source = page.names[maker]()
        with source if maker == "SessionLocal" else next(source) as session:
            users = page.UserRepository(session)
            page.take()
            user = await users.get_by_id(1)
            same = await users.get_by_username("u1")
            many = await users.get_active_users()
            if attempt:
                assert page.take() == []
            assert type(user) is page.User
            assert user is same is many[0]
            assert all(object_session(one) is session for one in many)
            assert [post.title for post in user.posts] == ["p1"]
            assert user.posts[0].author is user


async def test_repositories_create_with_an_awaited_commit(page: Tutorial) -> None:
    with next(page.cached_get_session()) as session:
        users, posts = page.UserRepository(session), page.PostRepository(session)
        assert len(await users.get_active_users()) == 3
        assert await users.get_by_username("new") is None
        data = {"username": "new", "email": "new@x", "full_name": "New"}
        user = await users.create(data)
        assert user.id == 4
        assert await users.get_by_username("new") is user
        post = await posts.create(
            {"title": "mine", "content": "", "author_id": 4, "published": True}
        )
        assert [p.title for p in await posts.get_published()][:1] == ["mine"]
        assert (await posts.get_by_id(post.id)).author is user
    with next(page.cached_get_session()) as session:
        assert len(await page.UserRepository(session).get_active_users()) == 4
    assert (await page.get_user_stats())["total_users"] == 4


async def test_warming_leaves_nothing_cold(page: Tutorial) -> None:
    await page.full_cache_warm()
    page.take()
    await asyncio.gather(*(page.get_user_by_id(number) for number in range(1, 51)))
    await page.get_published_posts(limit=20)
    await page.get_user_stats()
    assert page.take() == []


async def test_the_performance_test_measures_a_miss_and_a_hit(page: Tutorial) -> None:
    page.take()
    await page.performance_test()
    assert len(page.take()) == 1
    assert set(page.monitor.get_stats()) == {
        "cached_user_first_call",
        "cached_user_second_call",
    }


async def test_500_callers_of_a_cold_key_run_the_query_once(page: Tutorial) -> None:
    page.take()
    found = await asyncio.gather(*(page.get_user_by_id(2) for _ in range(500)))
    assert {user["username"] for user in found} == {"u2"}
    assert len(page.take()) == 1


async def test_sessions_for_a_table_serve_only_that_table(page: Tutorial) -> None:
    def read(maker: Any, model: Any) -> int:
        page.take()
        with next(maker()) as session:
            session.query(model).filter(model.id == 1).all()
        return len(page.take())

    makers = [
        page.cached_get_session,
        page.users_cached_session,
        page.posts_cached_session,
    ]
    sent = [
        [read(maker, model) for model in (page.User, page.Post)] for maker in makers
    ]
    assert sent[0] == [1, 1]
    again = [
        [read(maker, model) for model in (page.User, page.Post)] for maker in makers
    ]
    assert again == [[0, 0], [0, 1], [1, 0]]

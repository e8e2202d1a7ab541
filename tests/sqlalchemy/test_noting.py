"""
What sessions read is noted once a cached function may ask, and not before.

Whatever was read until then is doubted, also by sessions that have expired since.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.models import User
from yokedcache import cached
from yokedcache.runtime import surroundings
from yokedcache.sqlalchemy.functions import sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from tests.support.databases import Blog
    from yokedcache import YokedCache


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Have a process in which no function is cached.
    """
    monkeypatch.setattr(surroundings.noting, "on", False)


def rename(blog: Blog, name: str) -> None:
    with blog.sessions() as session:
        session.get_one(User, 1).name = name
        session.commit()


def name_of(cache: YokedCache) -> Callable[[Session], Any]:
    @cached(cache=cache)
    def name(session: Session) -> str:
        return session.get_one(User, 1).name

    return name


@pytest.mark.usefixtures("alone")
def test_nothing_is_noted_while_nobody_asks(blog: Blog, cache: YokedCache) -> None:
    with blog.attached(cache)() as session:
        session.commit()
        for _ in range(2):
            assert session.get_one(User, 1).name == "ann"
            session.get_one(User, 1).name = "bob"
            session.flush()
            session.rollback()
        session.get_one(User, 1)
        seen = session.__dict__[sessions._SEEN]
        assert not seen._numbers
        assert not seen._versions
    assert not surroundings.noting.on


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("way", ["attached", "plain"])
@pytest.mark.parametrize("expired", [False, True])
def test_what_was_read_before_the_first_function_is_doubted(
    blog: Blog, cache: YokedCache, way: str, expired: bool
) -> None:
    maker = blog.attached(cache) if way == "attached" else blog.sessions
    with maker() as held, maker() as other:
        if expired:  # it begins anew, with nothing that was read
            held.get_one(User, 1)
            held.commit()
        kept = held.get_one(User, 1)
        rename(blog, "new")
        name = name_of(cache)
        assert name(held) == kept.name == "ann"  # as without a cache: it is held
        assert name(other) == "new"
        assert set(cache.stats().total.refusals) == {"warm_session"}
        held.rollback()
        assert [name(held), name(held), name(other)] == ["new"] * 3
        assert cache.stats().total.hits >= 2


@pytest.mark.usefixtures("alone")
def test_one_that_reads_in_another_thread_is_doubted(
    blog: Blog, cache: YokedCache
) -> None:
    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(blog.sessions).result()
        thread.submit(held.commit).result()
        kept = thread.submit(held.get_one, User, 1).result()
        rename(blog, "new")
        name = name_of(cache)
        assert thread.submit(name, held).result() == kept.name == "ann"
        thread.submit(held.close).result()
    with blog.sessions() as session:
        assert name(session) == "new"


@pytest.mark.usefixtures("alone")
def test_what_is_read_afterwards_is_noted(blog: Blog, cache: YokedCache) -> None:
    name = name_of(cache)
    with blog.sessions() as session:
        kept = session.get_one(User, 1)
        assert name(session) == "ann"
        assert cache.stats().total.refusals == {}
        rename(blog, "new")
        assert name(session) == kept.name == "ann"
        assert cache.stats().total.hits == 0
    with blog.sessions() as session:
        assert name(session) == "new"


@pytest.mark.usefixtures("alone")
def test_a_load_begins_it_whoever_asks_for_it(cache: YokedCache) -> None:
    assert cache.sync.get_or_set("name", lambda: surroundings.noting.on)

"""
What a session holds is older than what a function's statements read.

However the function got at the session, and in whatever thread it reads.
"""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from tests.support.looking import NAME, RENAMING, name, own_name, rename
from tests.support.models import Post, User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import Blog
    from yokedcache import YokedCache


def test_an_object_from_a_hit_is_as_old_as_its_entry(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def user(session: Session) -> User:
        return session.get_one(User, 1)

    called = cached(own_name, cache=cache)
    with blog.sessions() as session:
        user(session)
    with blog.sessions() as session:
        session.scalars(select(Post)).all()
        held = user(session)
        rename(blog)
        assert called(session) == held.name
    with blog.sessions() as session:
        assert called(session) == "new"


def _add(session: Session, user: User) -> User:
    session.add(user)
    return user


def _add_pickled(session: Session, user: User) -> User:
    return _add(session, pickle.loads(pickle.dumps(user)))


def _merge(session: Session, user: User) -> User:
    return session.merge(user, load=False)


@pytest.mark.parametrize("attach", [_add, _add_pickled, _merge])
def test_an_object_read_elsewhere_is_of_unknown_age(
    blog: Blog, cache: YokedCache, attach: Callable[[Session, User], User]
) -> None:
    called = cached(own_name, cache=cache)
    with blog.sessions() as session:
        user = session.get_one(User, 1)
    rename(blog)
    with blog.sessions() as session:
        session.scalars(select(Post.id)).all()
        held = attach(session, user)
        assert called(session) == held.name == "ann"
    with blog.sessions() as session:
        assert called(session) == "new"


@pytest.mark.parametrize("expires", [True, False])
def test_a_session_from_a_closure_may_have_been_warmed_in_another_thread(
    blog: Blog, cache: YokedCache, expires: bool
) -> None:
    held: dict[str, Any] = {}

    @cached(cache=cache)
    def called() -> str:
        return own_name(held["session"])

    with Session(blog.engine, expire_on_commit=expires) as session:
        held["session"] = session
        _in_thread(lambda: held.update(user=session.get(User, 1)))
        rename(blog)
        assert called() == "ann"
    with blog.sessions() as session:
        held["session"] = session
        assert called() == "new"


def _in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def _in_pool(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor() as pool:
        pool.submit(work).result()


def _mapped(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: work(), [1]))


@pytest.mark.parametrize("spread", [_in_thread, _in_pool, _mapped])
def test_threads_that_a_function_starts_are_captured(
    blog: Blog, cache: YokedCache, spread: Callable[[Any], None]
) -> None:
    @cached(cache=cache)
    def called() -> str:
        found: list[str] = []
        spread(lambda: found.append(name(blog.sessions)))
        return found[0]

    assert called() == "ann"
    rename(blog)
    assert called() == "new"


def test_a_worker_started_in_a_capture_keeps_none(
    blog: Blog, cache: YokedCache
) -> None:
    with ThreadPoolExecutor(1) as pool:

        @cached(cache=cache)
        def called() -> int:
            return pool.submit(lambda: 1).result()

        assert called() == 1
        assert pool.submit(name, blog.sessions).result() == "ann"
        rename(blog)
        assert called() == 1
        assert cache.stats().total.loads == 1


def test_a_session_sees_what_its_connection_wrote_before_it_joined(
    blog: Blog, cache: YokedCache
) -> None:
    attached, joined = blog.attached(cache), sessionmaker()
    cache.attach(joined)
    for _ in range(4):
        assert name(attached) == "ann"
        with attached() as session:
            assert own_name(session) == "ann"
    with blog.engine.connect() as connection:
        connection.execute(RENAMING)
        for ask in (lambda session: session.scalars(NAME).one(), own_name):
            with joined(bind=connection) as session:
                assert ask(session) == "new"
        connection.rollback()
    assert name(attached) == "ann"

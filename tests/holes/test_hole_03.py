"""
Hole 3: what was written belongs to the DBAPI connection, not to a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import SingletonThreadPool, func, select
from sqlalchemy.orm import Session, sessionmaker

from tests.support.databases import Blog, blog_at, blog_in_memory
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache import YokedCache

COUNT = select(func.count()).select_from(User)
Reader = "Callable[[], tuple[int, int]]"


@pytest.fixture(params=["static", "thread"])
def shared(request: pytest.FixtureRequest) -> Iterator[Blog]:
    """
    A blog whose sessions share one connection without knowing it.
    """
    if request.param == "static":
        with blog_in_memory() as blog:
            yield blog
    else:
        with blog_at("sqlite://", poolclass=SingletonThreadPool) as blog:
            yield blog


def readers(cache: YokedCache, maker: Any) -> Callable[[], tuple[int, int]]:
    @cached(cache=cache, ttl=60)
    def count() -> int:
        with maker() as session:
            return session.scalar(COUNT)  # type: ignore[no-any-return]

    def seen() -> tuple[int, int]:
        with maker() as session:
            return session.scalar(COUNT), count()

    return seen


def test_hole_03_another_session_of_the_connection_stores_nothing_uncommitted(
    shared: Blog, cache: YokedCache
) -> None:
    maker = shared.attached(cache)
    # SQLAlchemy rolls a shared connection back when a session gives it back, so the
    # reader stays open beside the writer.
    writer, reader = shared.sessions(), maker()
    writer.add(User(id=9, name="ghost"))
    writer.flush()
    assert reader.scalar(COUNT) == 4
    assert reader.scalar(COUNT) == 4
    writer.rollback()
    reader.close()
    writer.close()
    assert readers(cache, maker)() == (3, 3)


def test_hole_03_whoever_commits_the_connection_announces_all_of_it(
    shared: Blog, cache: YokedCache
) -> None:
    maker = shared.attached(cache)
    seen = readers(cache, maker)
    assert seen() == seen() == (3, 3)
    writer, other = shared.sessions(), shared.sessions()
    writer.add(User(id=9, name="dan"))
    writer.flush()
    assert other.get(User, 1) is not None
    other.commit()  # commits the connection, and with it what `writer` wrote
    assert seen() == (4, 4)
    writer.rollback()
    other.close()
    writer.close()
    assert seen() == (4, 4)


@pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only", "control_fully"])
def test_hole_03_sessions_joined_to_a_connection_see_their_writes_and_publish_nothing(
    blog: Blog, cache: YokedCache, mode: Any
) -> None:
    outside = readers(cache, blog.attached(cache))
    assert outside() == (3, 3)
    with blog.engine.connect() as connection:
        transaction = connection.begin()
        joined = sessionmaker(bind=connection, join_transaction_mode=mode)
        cache.attach(joined)
        inside = readers(cache, joined)
        with joined() as session:
            session.add(User(id=9, name="ghost"))
            session.flush()
            if mode == "create_savepoint":
                session.commit()
            else:
                assert session.scalar(COUNT) == 4
                assert count_of(session) == 4
        if mode == "create_savepoint":
            assert inside() == (4, 4)
            with Session(bind=connection) as second:
                assert count_of(second) == 4
        if transaction.is_active:
            transaction.rollback()
    # SQLite's driver sends no BEGIN before a SAVEPOINT: its RELEASE was a commit
    committed = mode == "create_savepoint" and blog.engine.dialect.name == "sqlite"
    truth = 4 if committed else 3
    assert rows_in(blog) == truth
    assert outside() == (truth, truth)
    assert readers(cache, blog.sessions)() == (truth, truth)


def rows_in(blog: Blog) -> int:
    with blog.engine.connect() as connection:
        return connection.scalar(COUNT) or 0


def count_of(session: Session) -> int:
    return len(session.scalars(select(User)).all())


def test_hole_03_the_commit_around_joined_sessions_announces_what_they_wrote(
    blog: Blog, cache: YokedCache
) -> None:
    outside = readers(cache, blog.attached(cache))
    assert outside() == (3, 3)
    with blog.engine.connect() as connection:
        for number in (8, 9):
            with Session(
                bind=connection, join_transaction_mode="create_savepoint"
            ) as session:
                session.add(User(id=number, name="dan"))
                session.commit()
        connection.commit()
    assert outside() == (5, 5)


def test_hole_03_cached_functions_inside_a_rolled_back_test_see_its_writes(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    def count(session: Session) -> int:
        return session.scalar(COUNT) or 0

    with blog.sessions() as session:
        assert count(session) == 3
    with blog.engine.connect() as connection, connection.begin() as transaction:
        with Session(
            bind=connection, join_transaction_mode="create_savepoint"
        ) as session:
            session.add(User(id=9, name="ghost"))
            session.commit()
            assert count(session) == 4
        with Session(bind=connection) as session:
            assert count(session) == 4
        transaction.rollback()
    with blog.sessions() as session:
        assert count(session) == rows_in(blog)

"""
Decisions that could have been taken otherwise, each as a test where no other has it.

The others, and where they are tested:

- Blocking callers and tasks have one table of flights: `tests/runtime/test_flights`,
  `test_a_thread_and_a_task_wait_for_each_other_s_flight`.
- A leader's exception reaches nobody else, and one waiter takes over: there,
  `TestLeadersThatFail`.
- The tag `users` isn't `table:users`, and who may have meant that is told:
  `tests/cache/test_free_tags`.
- What an inner function gave stale isn't kept outside:
  `test_hole_19_an_inner_stale_answer_is_not_kept_outside`.
- `refresh()` isn't served: `test_hole_20_refresh_and_populate_existing_go_to_the_database`.
- MariaDB's and MySQL's own level has a floating snapshot, a chosen one is strict:
  `test_hole_09_floating`.
- What a Redis evicts INFO tells (`tests/stores/redis/test_lost_memory`,
  `test_where_any_key_may_be_evicted_new_tags_are_born_fenced`); one that doesn't say is
  no store at all: `test_incarnation`, `test_what_can_not_be_a_store_is_refused`.
- A generator is run to its end, whoever stops early: `tests/cache/test_cached_generators`,
  `test_a_consumer_may_stop_early`.
- Without autoflush statements give rows as stored (`test_footgun_01_lost_update`), and
  functions aren't kept (`test_hole_01_what_is_dirty_is_not_stored`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, select, text, update

from tests.support.looking import NAME, RENAMING, name
from tests.support.models import Post, User
from yokedcache import cached, cached_dependency

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from tests.support.databases import Blog
    from yokedcache import YokedCache
    from yokedcache.testing import FakeClock


def test_decision_core_reads_are_not_cached_and_core_writes_are_heard(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    for _ in range(3):
        with blog.counted() as sent, blog.engine.connect() as connection:
            assert connection.scalar(NAME) == "ann"
        assert len(sent) == 1
    with blog.engine.begin() as connection:
        connection.execute(RENAMING)
    assert [name(maker), name(maker)] == ["new", "new"]


def test_decision_a_function_lives_by_its_own_ttl_and_statements_by_theirs(
    blog: Blog, clocked: YokedCache, clock: FakeClock
) -> None:
    def get_session() -> Iterator[Session]:
        with blog.sessions() as session:
            yield session

    dependency = cached_dependency(get_session, cache=clocked, ttl=10)

    @cached(cache=clocked, ttl=100)
    def called() -> Any:
        (session,) = dependency()
        with session:
            return session.scalar(NAME)

    def asked() -> list[str]:
        with blog.counted() as sent:
            for session in dependency():
                session.scalar(NAME)
        return sent

    called()
    assert asked() == []
    clock.advance(50)
    with blog.counted() as sent:
        assert called() == "ann"
    assert sent == []
    assert len(asked()) == 1
    clock.advance(60)
    assert not called.peek()


def test_decision_lazy_loads_after_a_commit_are_served(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    for number in range(4):
        with blog.counted() as sent, maker() as session:
            user = session.get_one(User, 1)
            session.commit()  # expires it
            assert [post.title for post in user.posts] == ["ann's 1", "ann's 2"]
            assert user.name == "ann"
        assert (sent == []) is (number > 0)


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
def test_decision_answers_are_served_while_the_database_is_down(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    assert [name(maker) for _ in range(4)] == ["ann"] * 4
    blog.engine.dispose()
    database = blog.engine.url.database
    admin = create_engine(
        blog.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT"
    )
    opening = f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS '
    with admin.connect() as connection:
        connection.exec_driver_sql(f"{opening} false")
        try:
            with maker() as session, pytest.raises(Exception, match="not currently"):
                session.execute(text("SELECT 1 AS another"))
            assert [name(maker) for _ in range(3)] == ["ann"] * 3
        finally:
            connection.exec_driver_sql(f"{opening} true")
    admin.dispose()


def test_decision_a_tag_that_no_answer_carries_is_forgotten(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    name(maker)
    store: Any = cache.machine.store
    before = set(store.names())
    for number in range(20):
        with blog.engine.begin() as connection:
            connection.execute(update(Post).values(title=str(number)))
    assert set(store.names()) <= before


@pytest.mark.parametrize("blog", ["postgresql", "mariadb"], indirect=True)
def test_decision_tests_that_roll_back_are_served_what_they_did_not_write(
    blog: Blog, cache: YokedCache
) -> None:
    """
    The fixture's connection has written one table: only its answers stay away.
    """
    maker = blog.attached(cache, join_transaction_mode="create_savepoint")
    titles = select(Post.title).order_by(Post.id)
    with blog.engine.connect() as connection, connection.begin() as transaction:
        with maker(bind=connection) as session:
            session.get_one(User, 1).name = "mine"
            session.commit()
        served = []
        for _ in range(3):
            with blog.counted() as sent, maker(bind=connection) as session:
                assert session.scalars(titles).first() == "ann's 1"
            served.append(not [one for one in sent if one.startswith("SELECT")])
            with maker(bind=connection) as session:
                assert session.scalar(NAME) == "mine"
        transaction.rollback()
    assert served == [False, True, True]
    assert name(maker) == "ann"


def test_decision_vary_tells_keys_apart_and_never_tags(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache, vary=lambda session: session.info["who"])

    def asked(who: str) -> tuple[Any, bool]:
        with blog.counted() as sent, maker(info={"who": who}) as session:
            seen = session.scalar(NAME)
        return seen, bool(sent)

    @cached(cache=cache, tags=["people"], vary=lambda: whose[0])
    def called() -> int:
        return next(runs)

    whose, runs = ["one"], iter(range(10))
    for who in ("one", "other"):
        assert [asked(who), asked(who)] == [("ann", True), ("ann", False)]
        whose[0] = who
        called()
    with blog.engine.begin() as connection:
        connection.execute(RENAMING)
    cache.sync.invalidate_tags("people")
    for who in ("one", "other"):
        assert asked(who) == ("new", True)
        whose[0] = who
        assert not called.peek()

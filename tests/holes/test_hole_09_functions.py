"""
Hole 9 for cached functions: called inside a snapshot, or reading through one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from tests.holes.renaming import TITLES
from tests.support.databases import Blog, blog_at
from tests.support.looking import NAME, name, rename
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.postgres import PostgresDatabase
    from yokedcache import YokedCache


@pytest.fixture
def server(postgres_database: PostgresDatabase) -> Iterator[Blog]:
    with blog_at(postgres_database.url("psycopg")) as made:
        yield made


def at(blog: Blog, level: str = "REPEATABLE READ") -> sessionmaker[Session]:
    return sessionmaker(blog.engine.execution_options(isolation_level=level))


def namer(cache: YokedCache) -> Callable[[Session], str]:
    @cached(cache=cache, ttl=60)
    def name_of(session: Session) -> str:
        return session.scalars(NAME).one()

    return name_of


def bypasses(cache: YokedCache) -> dict[str, int]:
    found: dict[str, int] = {}
    for counts in cache.stats().by_name.values():
        found.update(counts.bypasses)
        found.update(counts.refusals)
    return found


def test_hole_09_a_function_handed_a_snapshot_goes_on_seeing_it(
    server: Blog, cache: YokedCache
) -> None:
    name_of = namer(cache)
    with server.sessions() as plain:
        assert name_of(plain) == "ann"
    with at(server)() as session:
        session.scalars(TITLES).all()
        with server.counted() as sent:
            assert name_of(session) == "ann"
        assert not sent
        rename(server)
        with server.sessions() as plain:
            assert name_of(plain) == "new"
        for _ in range(2):
            assert name_of(session) == "ann"
        with server.sessions() as plain:  # who is near a snapshot obeys it
            assert name_of(plain) == "new"
    assert bypasses(cache)["snapshot"] == 3


def test_hole_09_what_a_function_read_in_a_snapshot_is_not_stored_too_late(
    server: Blog, cache: YokedCache
) -> None:
    name_of = namer(cache)
    with at(server)() as session:
        session.scalars(TITLES).all()
        rename(server)
        assert name_of(session) == "ann"
    with server.sessions() as plain:
        assert name_of(plain) == "new"


def test_hole_09_what_a_function_read_in_a_snapshot_is_stored_in_time(
    server: Blog, cache: YokedCache
) -> None:
    name_of = namer(cache)
    with at(server)() as session:
        session.scalars(TITLES).all()
        assert name_of(session) == "ann"
    with server.sessions() as plain, server.counted() as sent:
        assert name_of(plain) == "ann"
    assert not sent


def test_hole_09_a_function_whose_read_makes_the_snapshot_is_run(
    server: Blog, cache: YokedCache
) -> None:
    name_of = namer(cache)
    with server.sessions() as plain:
        assert name_of(plain) == "ann"
    with at(server)() as session:
        assert name_of(session) == "ann"
        rename(server)
        ann = session.get_one(User, 1)
        assert ann.name == "ann"
        ann.name += "!"
        with pytest.raises(OperationalError, match="could not serialize"):
            session.commit()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_hole_09_a_function_that_gets_at_the_session_by_itself(
    server: Blog, cache: YokedCache, level: str
) -> None:
    held: list[Session] = []

    @cached(cache=cache, ttl=60)
    def name_of() -> str:
        if held:
            return held[0].scalars(NAME).one()
        with server.sessions() as session:
            return session.scalars(NAME).one()

    assert name_of() == "ann"
    with at(server, level)() as session:
        held.append(session)
        session.scalars(TITLES).all()
        assert name_of() == "ann"
        thread = threading.Thread(target=rename_and_ask, args=(server, held, name_of))
        thread.start()
        thread.join()
        assert name_of() == "ann"
        session.rollback()
    held.clear()
    assert name_of() == "new"


def rename_and_ask(server: Blog, held: list[Session], ask: Callable[[], str]) -> None:
    kept = held.pop()
    rename(server)
    assert ask() == "new"
    held.append(kept)


def test_hole_09_plain_hits_are_plain_again_when_the_snapshot_is_over(
    server: Blog, cache: YokedCache
) -> None:
    pulse = cache.machine.store.pulse
    with at(server)() as session:
        session.scalars(TITLES).all()
        assert pulse.value is not None  # nothing was bumped since
        rename(server)
        assert pulse.value is None
    assert pulse.value is not None
    with at(server, "SERIALIZABLE")() as session:
        session.scalars(TITLES).all()
        assert pulse.value is None
    assert pulse.value is not None


def test_hole_09_a_function_handed_serializable_is_run(
    server: Blog, cache: YokedCache
) -> None:
    name_of = namer(cache)
    with server.sessions() as plain:
        assert name_of(plain) == "ann"
    with at(server, "SERIALIZABLE")() as session:
        for _ in range(2):
            with server.counted() as sent:
                assert name_of(session) == "ann"
            assert len(sent) == 1


def test_rule_11_a_flight_begun_in_a_snapshot_serves_nobody_else(
    server: Blog, cache: YokedCache
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    @cached(cache=cache, ttl=60)
    def name_of(session: Session) -> str:
        found = session.scalars(NAME).one()
        if session is old:
            inside.set()
            assert go_on.wait(10)
        return found

    seen: list[str] = []
    with at(server)() as old:
        old.scalars(TITLES).all()
        rename(server)
        thread = threading.Thread(target=lambda: seen.append(name_of(old)))
        thread.start()
        assert inside.wait(10)
        with server.sessions() as session:
            assert name_of(session) == "new"
        go_on.set()
        thread.join()
    assert seen == ["ann"]
    with server.sessions() as session:
        assert name_of(session) == "new"


def test_rule_11_a_flight_that_reads_through_a_snapshot_unseen_serves_nobody_else(
    server: Blog, cache: YokedCache
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    held: list[Session] = []

    @cached(cache=cache, ttl=60)
    def name_of() -> str:
        if held:
            found = held.pop().scalars(NAME).one()
            inside.set()
            assert go_on.wait(10)
            return found
        with server.sessions() as session:
            return session.scalars(NAME).one()

    seen: list[str] = []
    with at(server)() as old:
        old.scalars(TITLES).all()
        rename(server)
        held.append(old)
        leader = threading.Thread(target=lambda: seen.append(name_of()))
        leader.start()
        assert inside.wait(10)
        waiter = threading.Thread(target=lambda: seen.append(name_of()))
        waiter.start()
        go_on.set()
        leader.join()
        waiter.join()
    assert sorted(seen) == ["ann", "new"]


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("how", ["BEGIN", "SAVEPOINT one"])
def test_hole_09_functions_inside_a_transaction_of_sqlite(
    blog: Blog, cache: YokedCache, how: str
) -> None:
    if blog.engine.dialect.name != "sqlite":
        how = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    name_of = namer(cache)
    with blog.sessions() as plain:
        assert name_of(plain) == "ann"
    with blog.sessions() as session:
        session.execute(text(how))
        session.scalars(TITLES).all()
        with blog.counted() as sent:
            assert name_of(session) == "ann"
        assert not sent
        rename(blog)
        assert name(blog.attached(cache)) == "new"
        with blog.sessions() as plain:
            assert name_of(plain) == "new"
        assert name_of(session) == "ann"
        session.rollback()
        assert name_of(session) == "new"

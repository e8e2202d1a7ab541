"""
Hole 9 where a database's own default is a snapshot that nobody chose: it floats.

MariaDB's is; besides, a PostgreSQL stands for it, whose default was set to the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from tests.holes.renaming import TITLES, reasons
from tests.support.databases import Blog, Statements, blog_at
from tests.support.looking import NAME, name, rename
from tests.support.models import User
from yokedcache import cached
from yokedcache.sqlalchemy.transactions import snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yokedcache import YokedCache


@pytest.fixture(params=["mariadb", "postgresql"])
def server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Blog]:
    if request.param == "mariadb":
        with blog_at(
            request.getfixturevalue("mariadb_database").url("pymysql")
        ) as made:
            yield made
        return
    monkeypatch.setitem(snapshots._NATIVE, "postgresql", "REPEATABLE READ")
    url = request.getfixturevalue("postgres_database").url("psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            text(
                f"ALTER DATABASE {engine.url.database} "
                "SET default_transaction_isolation = 'repeatable read'"
            )
        )
    engine.dispose()
    with blog_at(url) as made:
        yield made


@pytest.fixture
def warm(server: Blog, cache: YokedCache) -> Any:
    maker = server.attached(cache)
    with maker() as session:
        session.scalars(NAME).all()
        session.scalars(TITLES).all()
    return maker


@pytest.mark.parametrize("times", [1, 5])
def test_hole_09_hits_come_before_any_statement(
    server: Blog, warm: Any, times: int
) -> None:
    for _ in range(times):
        with server.counted() as sent, warm() as session:
            assert session.scalars(NAME).one() == "ann"
            assert len(session.scalars(TITLES).all()) == 6
        assert not sent


def test_hole_09_short_hits_come_before_any_statement(
    server: Blog, cache: YokedCache
) -> None:
    maker = server.attached(cache)
    for _ in range(5):
        with server.counted() as sent, maker() as session:
            assert session.get_one(User, 1).name == "ann"
    assert not sent
    with maker() as session:
        assert session.get_one(User, 1).name == "ann"
        rename(server)
        assert session.get_one(User, 2).name == "bob"
    assert reasons(cache)["snapshot_skew"] == 1
    with maker() as session:
        assert session.get_one(User, 1).name == "new"


def test_hole_09_later_hits_obey_the_first(
    server: Blog, cache: YokedCache, warm: Any
) -> None:
    with warm() as session:
        assert session.scalars(NAME).one() == "ann"
        rename(server)
        assert name(server.attached(cache)) == "new"  # stored under a later version
        with Statements(server.engine).counted() as sent:
            session.scalars(NAME).one()
        assert len(sent) == 1


def test_hole_09_what_was_served_should_hold_when_the_snapshot_is_made(
    server: Blog, cache: YokedCache, warm: Any
) -> None:
    with warm() as session:
        assert session.scalars(NAME).one() == "ann"
        assert session.scalar(text("SELECT count(*) FROM posts")) == 6
    assert "snapshot_skew" not in reasons(cache)
    with warm() as session:
        assert session.scalars(NAME).one() == "ann"
        rename(server)
        assert session.scalar(text("SELECT count(*) FROM users")) == 3
        assert session.scalars(NAME).one() == "new"
    assert reasons(cache)["snapshot_skew"] == 1


def test_hole_09_nothing_that_mixes_two_states_is_stored(
    server: Blog, cache: YokedCache, warm: Any
) -> None:
    @cached(cache=cache, ttl=60)
    def seen(session: Session, between: bool) -> tuple[str, ...]:
        first = session.scalars(NAME).one()
        if between:
            rename(server)
        return first, *session.scalars(TITLES.where(text("1 = 1"))).all()[:1]

    with warm() as session:
        assert seen(session, between=True) == ("ann", "ann's 1")
    with warm() as session:
        assert seen(session, between=False) == ("new", "ann's 1")
    with warm() as session, server.counted() as sent:
        assert seen(session, between=False) == ("new", "ann's 1")
    assert not sent
    with warm() as session:
        assert seen(session, between=True) == ("new", "ann's 1")


def test_hole_09_functions_are_served_and_obey_the_first_hit(
    server: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, ttl=60)
    def name_of(session: Session) -> str:
        return session.scalars(NAME).one()

    @cached(cache=cache, ttl=60)
    def count(session: Session) -> int:
        return session.scalar(text("SELECT count(*) FROM users")) or 0

    for _ in range(2):
        with server.sessions() as session:
            assert (name_of(session), count(session)) == ("ann", 3)
    with server.sessions() as session:
        with server.counted() as sent:
            assert name_of(session) == "ann"
        assert not sent
        with server.sessions.begin() as other:
            other.add(User(id=9, name="dan"))
        assert count(session) == 4  # its snapshot; what is served next agrees with it
    assert reasons(cache)["snapshot_skew"] == 1


def test_hole_09_a_level_that_somebody_chose_is_strict(
    server: Blog, cache: YokedCache, warm: Any
) -> None:
    engine = server.engine.execution_options(isolation_level="REPEATABLE READ")
    maker = sessionmaker(engine)
    cache.attach(maker)
    assert name(warm) == "ann"
    for _ in range(2):
        with server.counted() as sent:
            assert name(maker) == "ann"
        assert len(sent) == 1

"""
Commits that announce themselves, since the store is in the database of the data.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from tests.holes.losing import Failing
from tests.holes.stalling import STALLING, cut, process_of, server_of
from tests.services.processes import wait_until
from tests.support.held import until
from tests.support.models import User
from tests.support.pooler import Pooler
from tests.support.postgres_inside import LATER, SETTINGS, is_told_inside
from yokedcache import YokedCache, cached
from yokedcache.shared import fencing
from yokedcache.sqlalchemy.transactions import orphans

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import PostgresDatabase
    from tests.support.postgres_inside import App

SYNC = ["psycopg", "psycopg2"]


@pytest.mark.parametrize("driver", SYNC)
def test_a_commit_announces_itself(opened: Callable[..., App], driver: str) -> None:
    app = opened(driver)

    def change() -> None:
        with app.engine.connect() as connection:
            connection.execute(text(LATER))
            assert app.read() == b"x"
            connection.commit()

    def flush() -> None:
        with Session(app.engine) as session:
            user = session.get_one(User, 1)
            with session.begin_nested():
                user.name = "latest"
            session.commit()

    is_told_inside(app, change)
    is_told_inside(app, flush)
    is_told_inside(app, app.change)
    assert app.cache.stats().owed == app.cache.stats().store_failures == 0


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg_async"])
def test_a_commit_of_an_event_loop_announces_itself(
    opened: Callable[..., App], postgres_database: PostgresDatabase, driver: str
) -> None:
    app = opened()

    async def change() -> None:
        engine = create_async_engine(postgres_database.url(driver))
        async with engine.begin() as connection:
            await connection.execute(text(LATER))
        await engine.dispose()

    is_told_inside(app, lambda: asyncio.run(change()))


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_commit_of_a_snapshot_announces_itself(app: App, level: str) -> None:
    engine = app.engine.execution_options(isolation_level=level)

    def change() -> None:
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM users")) == 1
            # what the store does meanwhile isn't in its way
            assert app.fill("x") is None
            connection.execute(text(LATER))
            connection.commit()

    is_told_inside(app, change)
    is_told_inside(app, change)


@pytest.mark.parametrize("driver", SYNC)
def test_a_commit_through_a_pooler_announces_itself(app: App, driver: str) -> None:
    with Pooler(app.store.database, "postgres") as pooler:
        url = make_url(pooler.url).set(drivername=f"postgresql+{driver}")
        # as everybody says it who has such a pooler
        own = {"prepare_threshold": None} if driver == "psycopg" else {}
        engine = create_engine(url, connect_args=own)

        def change() -> None:
            with engine.begin() as connection:
                connection.execute(text(LATER))

        for _ in range(8):  # in sessions of others
            is_told_inside(app, change)
        engine.dispose()


def test_what_is_rolled_back_tells_nobody(app: App) -> None:
    before = app.fences
    with Session(app.engine) as session:
        session.get_one(User, 1).name = "undone"
        session.flush()
        assert app.read() == b"x"
        session.rollback()
    assert app.fences == before
    assert app.store.unfolded() == 0


def test_a_commit_that_a_constraint_refuses_tells_nobody(app: App) -> None:
    with app.engine.begin() as connection:
        connection.execute(
            text(
                "ALTER TABLE users ADD CONSTRAINT alone UNIQUE (name)"
                " DEFERRABLE INITIALLY DEFERRED"
            )
        )
        connection.execute(text("INSERT INTO users VALUES (2, 'second', true)"))
    assert app.fill("x") is None
    before = app.fences
    with Session(app.engine) as session:
        session.get_one(User, 2).name = "first"
        with pytest.raises(DBAPIError, match="alone"):
            session.commit()
    assert app.fences == before
    assert app.read() == b"x"
    # nor does anything stay up here
    assert not app.cache.machine.store._fencing._raised  # type: ignore[attr-defined]
    is_told_inside(app, app.change)


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_commit_whose_connection_is_lost_owes_nothing(
    app: App, *, goes_on: bool
) -> None:
    with app.engine.begin() as connection:
        for statement in STALLING:
            connection.exec_driver_sql(statement)
    wait_until(lambda: app.fill("x") is None)
    before = app.fences
    with server_of(app.engine) as server, app.engine.connect() as connection:
        process = process_of(connection)
        connection.execute(text(LATER))
        server.hold()
        commit = Failing(connection.commit)
        until(server.is_waiting)
        # others are served while it is under way: it isn't over
        assert app.read() == b"x"
        if goes_on:
            cut(connection)
        else:
            server.kill(process)
        commit.end()
        # a connection that is lost bumps what it has written, but that is no news
        assert app.fill("x") is None
        server.let_go()
        until(lambda: app.engine.pool not in orphans._watchers)
        assert server.name() == ("later" if goes_on else "first")
    assert app.read() == ("changed" if goes_on else b"x")
    assert app.fences == before
    assert app.cache.stats().owed == 0


def test_a_transaction_that_failed_is_no_commit(app: App) -> None:
    before = app.inside
    with app.engine.connect() as connection:
        connection.execute(text(LATER))
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT 1/0"))
        connection.commit()
    assert app.inside == before
    with app.engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM users")) == "first"


def test_who_only_writes_has_it_folded_now_and_then(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fencing, "UNFOLDED", 4)

    seen = []
    for _ in range(12):
        app.change()
        seen.append(app.store.unfolded())
    assert max(seen) < 4
    assert seen.count(0) == 3


def test_caches_of_one_store_are_told_once(app: App) -> None:
    another = YokedCache(app.store.database.url(), lease=0.3, **SETTINGS)
    app.change()  # by which it learns the mark
    app.other.stamp(*app.tags)
    before = another.stats().announced_inside, app.inside
    app.change()
    after = another.stats().announced_inside, app.inside
    assert after == (before[0] + 1, before[1] + 1)
    assert app.store.unfolded() == 1
    another.sync.close()


def test_hits_of_other_tables_go_on(app: App) -> None:
    wait_until(lambda: app.other.fill("l", b"y", "another table") is None)
    app.change()
    assert app.other.read("l", "another table") == b"y"


def test_this_process_reads_what_it_has_committed(app: App) -> None:
    calls: list[int] = []

    def body() -> Any:
        calls.append(1)
        with Session(app.engine) as session:
            return session.get_one(User, 1).name

    named = cached(cache=app.cache, vary=None)(body)
    wait_until(lambda: named() == named() and len(calls) >= 1)
    for number in range(5):
        assert app.known()
        with Session(app.engine) as session:
            session.get_one(User, 1).name = f"n{number}"
            session.commit()
        # its version is still to be drawn: who loads now asks for it
        assert not app.known()
        before = len(calls)
        assert named() == named() == named() == f"n{number}"
        assert len(calls) == before + 1

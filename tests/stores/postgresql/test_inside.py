"""
Applications whose commits announce themselves, since the store is in their database.

Another process is one that asks the store alone: what goes by SQLAlchemy it can't hear.
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
from tests.support.models import Base, User
from tests.support.pooler import Pooler
from tests.support.postgres_stores import Store
from yokedcache import YokedCache, cached
from yokedcache.shared import fencing
from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.transactions import carrying, orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from tests.services import PostgresDatabase

PREFIX = "inside"
SCHEMA = f"yokedcache_{PREFIX}"
SETTINGS: dict[str, Any] = {"prefix": PREFIX, "jitter": 0.0, "store_timeout": 10.0}
SYNC = ["psycopg", "psycopg2"]
ROLE = "outsider_inside"
LATER = "UPDATE users SET name = 'later' WHERE id = 1"


class App:
    """
    An application with its cache, and another process that has an entry of a table.
    """

    def __init__(self, data: PostgresDatabase, store: Store, driver: str) -> None:
        self.store = store
        self.engine = create_engine(data.url(driver))
        Base.metadata.create_all(self.engine)
        self.cache = YokedCache(store.database.url(), lease=0.3, **SETTINGS)
        self.role = ""
        self.fences = 0
        self._count_fences()
        with Session(self.engine) as session:  # in whose catalogue all is found
            session.add(User(id=1, name="first"))
            session.commit()
        self.other = store.open(lease=0.3)
        found = database_of(self.engine.dialect)
        self.tags = (
            *found.tags_written([("users", "users")], unknown=False),
            found.server_tag,
        )
        wait_until(lambda: self.fill("x") is None)

    def fill(self, payload: str) -> str | None:
        return self.other.fill("k", payload.encode(), *self.tags)

    def read(self) -> bytes | str:
        return self.other.read("k", *self.tags)

    def known(self) -> bool:
        """
        Tell whether the application knows how its tables stand in the store.
        """
        table = self.cache.machine.store.tags
        return all(table.tag(name).shared for name in self.tags[:1])

    @property
    def inside(self) -> int:
        return self.cache.stats().announced_inside

    def _count_fences(self) -> None:
        store: Any = self.cache.machine.store
        fence = store.server.commands.fence

        def counted(*args: Any) -> Any:
            self.fences += 1
            return fence(*args)

        store.server.commands.fence = counted

    def change(self) -> None:
        with self.engine.begin() as connection:
            if self.role:
                connection.execute(text(f"SET ROLE {self.role}"))
            connection.execute(text(LATER))

    def close(self) -> None:
        if self.role:
            self.engine.dispose()
            self.store.say(f"DROP OWNED BY {self.role}")
            self.store.say(f"DROP ROLE {self.role}")
        self.cache.sync.close()
        self.engine.dispose()
        self.store.close()


@pytest.fixture
def opened(postgres_database: PostgresDatabase) -> Iterator[Callable[..., App]]:
    """
    Give a function that opens an application, on a store of its database or of another.
    """
    carrying._resting.clear()
    made: list[App] = []

    def app(driver: str = "psycopg", *, store: PostgresDatabase | None = None) -> App:
        place = Store(store or postgres_database, PREFIX)
        made.append(App(postgres_database, place, driver))
        return made[-1]

    yield app
    for one in made:
        one.close()


@pytest.fixture
def app(opened: Callable[..., App]) -> App:
    return opened()


def left(app: App) -> int:
    """
    Count what was said and not folded.
    """
    ((count,),) = app.store.say(f"SELECT count(*) FROM {SCHEMA}.said")
    return int(count)


def is_told_inside(app: App, change: Callable[[], Any]) -> None:
    assert app.fill("x") is None
    before = app.fences, app.inside
    change()
    assert (app.fences, app.inside) == (before[0], before[1] + 1)
    assert app.read() == "changed"


def is_told_as_ever(app: App, change: Callable[[], Any]) -> None:
    assert app.fill("x") is None
    before = app.fences, app.inside
    change()
    assert (app.fences, app.inside) == (before[0] + 1, before[1])
    assert app.read() == "changed"


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
    assert left(app) == 0


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


def by_text(connection: Connection) -> None:
    connection.execute(text(LATER))
    connection.execute(text("COMMIT"))


def in_a_pipeline(connection: Connection) -> None:
    connection.execute(text(LATER))
    driver: Any = connection.connection.driver_connection
    with driver.pipeline():
        connection.commit()


def at_once(connection: Connection) -> None:
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(LATER))


@pytest.mark.parametrize("change", [by_text, at_once, in_a_pipeline])
def test_a_commit_that_can_not_is_announced_as_ever(
    app: App, change: Callable[[Connection], None]
) -> None:
    def changed() -> None:
        with app.engine.connect() as connection:
            change(connection)

    is_told_as_ever(app, changed)
    is_told_inside(app, app.change)


def test_a_commit_in_two_phases_is_announced_as_ever(
    opened: Callable[..., App],
) -> None:
    app = opened("psycopg2")

    def changed() -> None:
        with app.engine.connect() as connection:
            transaction = connection.begin_twophase()
            connection.execute(text(LATER))
            try:
                transaction.prepare()
            except DBAPIError:
                pytest.skip("the server has no place for prepared transactions")
            transaction.commit()

    is_told_as_ever(app, changed)


def without_function(app: App) -> None:
    app.store.say(f"DROP FUNCTION {SCHEMA}.say")


def without_right(app: App) -> None:
    app.store.say(f"CREATE ROLE {ROLE} LOGIN")
    app.store.say(f"GRANT ALL ON users TO {ROLE}")
    app.store.say(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC")
    app.role = ROLE


def of_another_incarnation(app: App) -> None:
    app.cache.machine.store._mirror.mark = b"anything"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "damage", [without_function, without_right, of_another_incarnation]
)
def test_where_it_is_refused_it_is_announced_as_ever(
    app: App, damage: Callable[[App], None]
) -> None:
    damage(app)
    is_told_as_ever(app, app.change)
    with app.engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM users")) == "later"


def test_a_transaction_that_may_not_write_is_announced_as_ever(app: App) -> None:
    with app.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION unknown() RETURNS int LANGUAGE plpgsql VOLATILE AS"
            " $$BEGIN EXECUTE 'SELECT 1'; RETURN 1; END$$"
        )
    wait_until(lambda: app.fill("x") is None)

    def changed() -> None:
        with app.engine.connect() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            connection.execute(text("SELECT unknown()"))
            connection.commit()

    is_told_as_ever(app, changed)
    # that was no place's fault
    is_told_inside(app, app.change)


def test_a_store_of_another_database_is_not_asked_for_again(
    opened: Callable[..., App],
    postgres_module_database: PostgresDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = opened(store=postgres_module_database)
    sent: list[str] = []
    say = carrying.Carrier._say

    def noted(carrier: Any, sql: str) -> None:
        sent.append(sql)
        say(carrier, sql)

    monkeypatch.setattr(carrying.Carrier, "_say", noted)
    carrying._resting.clear()
    is_told_as_ever(app, app.change)
    assert len(sent) == 2
    is_told_as_ever(app, app.change)
    assert len(sent) == 2
    monkeypatch.setattr(carrying, "monotonic", lambda: 1e12)
    is_told_as_ever(app, app.change)
    assert len(sent) == 4


def test_who_only_writes_has_it_folded_now_and_then(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fencing, "UNFOLDED", 4)

    seen = []
    for _ in range(12):
        app.change()
        seen.append(left(app))
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
    assert left(app) == 1
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

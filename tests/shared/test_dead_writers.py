"""
A writer died in its COMMIT: its fence stands until the database says that it is over.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from tests.services.processes import wait_until
from tests.support.databases import twin
from tests.support.held import LIMIT
from tests.support.models import User
from yokedcache.errors import StoreError
from yokedcache.shared import orphans
from yokedcache.sqlalchemy.databases.database import database_of
from yokedcache.sqlalchemy.sharing import backend_named
from yokedcache.sqlalchemy.transactions.backends import Backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session, sessionmaker

    from tests.services.redis import RedisServer
    from tests.support.databases import Blog
    from yokedcache import YokedCache

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.parametrize("blog", ["postgresql", "mariadb"], indirect=True),
]

GRACE = 3600.0
"""Seconds that no test lasts: what comes down in them was proven to be over."""


@pytest.fixture
def cache(open_cache: Callable[..., YokedCache], server: RedisServer) -> YokedCache:
    return open_cache(server, lease=0.3, orphan_grace=GRACE)


class Writer:
    """
    What another process leaves behind that died: a connection, and a fence.
    """

    def __init__(self, cache: YokedCache, blog: Blog) -> None:
        self.engine = twin(blog.engine)
        self.connection = self.engine.connect()
        database = database_of(self.engine.dialect)
        holder: Any = self.connection._dbapi_connection
        database.learn(holder.dbapi_connection)
        self.owner = Backend(holder, database).text()
        self.tags = database.tags_written({("update", "users")}, unknown=False)
        self.server: Any = cache.machine.store.server  # type: ignore[attr-defined]

    def die(self, owner: str | None = None) -> None:
        """
        Leave the fence up, and the connection open.
        """
        told = self.owner if owner is None else owner
        commands = self.server.commands
        self.server.perform(commands.fence(self.tags, b"dead", told))

    def end(self) -> None:
        """
        Let the server notice.
        """
        self.connection.invalidate()
        self.engine.dispose()


def hit(cache: YokedCache, maker: sessionmaker[Session]) -> bool:
    before = cache.stats().total.hits
    with maker() as session:
        session.scalars(select(User.name)).all()
    return cache.stats().total.hits > before


def asked(cache: YokedCache, maker: sessionmaker[Session], times: int) -> None:
    """
    Go on until the database was asked so often.
    """
    counted: list[str] = []
    fencing: Any = cache.machine.store._fencing  # type: ignore[attr-defined]

    def count() -> bool:
        hit(cache, maker)
        for orphan in list(fencing._orphans._met.values()):
            if not counted or counted[-1] != orphan.due:
                counted.append(orphan.due)
        return len(counted) > times

    wait_until(count)


def test_the_fence_stands_as_long_as_its_transaction(
    cache: YokedCache, blog: Blog
) -> None:
    maker = blog.attached(cache)
    wait_until(lambda: hit(cache, maker))
    writer = Writer(cache, blog)
    writer.die()
    asked(cache, maker, 2)
    assert not hit(cache, maker)
    writer.end()
    wait_until(lambda: hit(cache, maker))


def test_what_was_kept_before_is_gone(cache: YokedCache, blog: Blog) -> None:
    maker = blog.attached(cache)
    wait_until(lambda: hit(cache, maker))
    writer = Writer(cache, blog)
    writer.die()
    with writer.connection.begin():
        writer.connection.exec_driver_sql("UPDATE users SET name = 'newer'")
    writer.end()
    wait_until(lambda: hit(cache, maker))
    with maker() as session:
        assert set(session.scalars(select(User.name))) == {"newer"}


@pytest.mark.parametrize(
    "owner", ["", "[]", "nonsense", '["another database", "", 1, null]']
)
def test_whose_owner_means_nothing_here_is_waited_for(
    cache: YokedCache, blog: Blog, owner: str
) -> None:
    maker = blog.attached(cache)
    wait_until(lambda: hit(cache, maker))
    writer = Writer(cache, blog)
    writer.die(owner)
    writer.end()
    fencing: Any = cache.machine.store._fencing  # type: ignore[attr-defined]
    for _ in range(20):
        assert not hit(cache, maker)
        fencing._orphans.ask()
    fencing._grace = 0.0
    wait_until(lambda: hit(cache, maker))


def test_a_commit_names_its_transaction(
    cache: YokedCache, blog: Blog, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Any = cache.machine.store.server  # type: ignore[attr-defined]
    owners: list[str] = []
    fence = server.commands.fence

    def noted(tags: Any, token: bytes, owner: str = "") -> Any:
        owners.append(owner)
        return fence(tags, token, owner)

    monkeypatch.setattr(server.commands, "fence", noted)
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = "newer"
    (owner,) = owners
    backend = backend_named(owner)
    assert backend is not None
    assert backend.identity == database_of(blog.engine.dialect).identity


def test_a_store_that_fails_is_asked_again(
    cache: YokedCache, blog: Blog, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = blog.attached(cache)
    wait_until(lambda: hit(cache, maker))
    writer = Writer(cache, blog)
    writer.die()
    writer.end()
    perform, failed = writer.server.perform, []

    def failing(operation: Any) -> Any:
        if operation.asked == "adopt" and len(failed) < 2:
            failed.append(operation)
            raise StoreError("it is gone")
        return perform(operation)

    monkeypatch.setattr(writer.server, "perform", failing)
    monkeypatch.setattr(orphans, "FIRST_PAUSE", 0.01)
    wait_until(lambda: hit(cache, maker))
    assert len(failed) == 2


def test_a_database_that_never_answers_keeps_no_fence_waiting(
    cache: YokedCache, blog: Blog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def never() -> bool:
        asked.set()
        answered.wait(LIMIT)
        return True

    monkeypatch.setattr(orphans, "_asker", lambda _: never)
    server: Any = cache.machine.store.server  # type: ignore[attr-defined]
    fencing: Any = cache.machine.store._fencing  # type: ignore[attr-defined]
    fencing._orphans.meet(b"dead", "somebody", "t")
    assert asked.wait(LIMIT)
    vouched, perform = threading.Event(), server.perform

    def noted(operation: Any) -> Any:
        if operation.asked == "renew":
            vouched.set()
        return perform(operation)

    monkeypatch.setattr(server, "perform", noted)
    fence = cache.machine.store.fence(["own"])
    assert vouched.wait(LIMIT)
    answered.set()
    cache.machine.store.lift(fence)

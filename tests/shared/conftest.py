"""
Caches that share a server, a database or a file: two in one process stand for two.

What goes by SQLAlchemy's own hooks they hear of together; that takes real processes.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import redis
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.services.redis import RedisServer
from tests.support.fixtures import (  # noqa: F401 - found by name
    blog,
    may_block,
    no_cycles_are_freed,
    said,
)
from tests.support.models import Base, User
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NIGHT = "YOKEDCACHE_EVERY_KIND" in os.environ
DAY = frozenset(
    {
        "functions_are_shared",
        "keys_are_shared",
        "late_loops",
        "one_load_for_all",
        "weather",
    }
)
"""Files whose tests have all places in the gate; the others only those that are quick."""

LEASE = 2.0
"""
Seconds: a new server is trusted after one; a tag lives as long until something has it.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Leave some tests on PostgreSQL to the night.
    """
    if not NIGHT:
        items[:] = [item for item in items if not _takes_long(item)]


def _takes_long(item: pytest.Item) -> bool:
    if item.path.parent != Path(__file__).parent:
        return False
    params = getattr(getattr(item, "callspec", None), "params", {})
    stem = item.path.stem.removeprefix("test_")
    return params.get("place") == "postgresql" and stem not in DAY


def look_ups(server: RedisServer) -> int:
    """
    Count the commands by which look-ups read.
    """
    stat = str(server.info("commandstats").get("cmdstat_mget", "calls=0,"))
    return int(stat.split(",", maxsplit=1)[0].removeprefix("calls="))


@pytest.fixture
def late_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Have what TLS sends after its handshake be there before anything is asked.
    """
    connect = redis.SSLConnection._connect  # type: ignore[attr-defined]

    def connected(connection: Any) -> Any:
        made = connect(connection)
        time.sleep(0.05)
        return made

    monkeypatch.setattr(redis.SSLConnection, "_connect", connected)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """
    Give a server that the tests of a module share and don't break.
    """
    with RedisServer.running() as running:
        yield running


class Place(Protocol):
    """
    Where caches share their entries.
    """

    def url(self) -> str:
        """
        Give the URL of a cache there.
        """


class File:
    """
    A SQLite file that caches share.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cache.db"

    def url(self) -> str:
        return f"sqlite:///{self.path}"


@pytest.fixture(scope="module", params=["redis", "sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """
    Give each place that caches can share and that the tests of a module don't break.
    """
    if request.param == "redis":
        yield request.getfixturevalue("server")
        return
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres_module_database")
        return
    with tempfile.TemporaryDirectory() as folder:
        yield File(Path(folder))


@pytest.fixture
def open_cache() -> Iterator[Callable[..., YokedCache]]:
    """
    Give a function that opens a cache on a server, whose tags may be relied on.
    """
    with contextlib.ExitStack() as stack:

        def opened(on: Place, **settings: Any) -> YokedCache:
            settings = {
                "lease": LEASE,
                "jitter": 0.0,
                "store_timeout": 10.0,
                **settings,
            }
            cache = YokedCache(on.url(), **settings)
            stack.callback(cache.sync.close)
            wait_until(lambda: cache.sync.set("settled", 1))
            return cache

        yield opened


@pytest.fixture
def caches(
    place: Place, open_cache: Callable[..., YokedCache]
) -> tuple[YokedCache, YokedCache]:
    """
    Give two caches with nothing in them.
    """
    one, other = open_cache(place), open_cache(place)
    one.sync.clear()
    return one, other


@pytest.fixture
def redis_caches(
    server: RedisServer, open_cache: Callable[..., YokedCache]
) -> tuple[YokedCache, YokedCache]:
    """
    Give the same on a server whose inside the test looks at.
    """
    one, other = open_cache(server), open_cache(server)
    one.sync.clear()
    return one, other


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    """
    Give sessions on a file with one user.
    """
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    Base.metadata.create_all(engine)
    made = sessionmaker(engine)
    with made.begin() as session:
        session.add(User(id=1, name="old"))
    yield made
    engine.dispose()

"""
What the processes may share answers by: a Redis, or another store of this library.
"""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING, Any, Final

from tests.services.memcached import MemcachedServer
from tests.services.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.services import PostgresDatabase, PostgresServer

REDIS: Final = "redis"
SERVERS: Final = 3
"""So many Memcacheds: tags of one commit lie on several."""


class Place:
    """
    A store that is empty, by its URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self) -> str:
        """
        Give its URL.
        """
        return self._url


@contextlib.contextmanager
def _redis(*_: Any) -> Iterator[Place]:
    with RedisServer.running() as server:
        yield Place(server.url())


@contextlib.contextmanager
def _memcached(*_: Any) -> Iterator[Place]:
    with MemcachedServer.several(SERVERS) as servers:
        yield Place("memcached://" + ",".join(server.address for server in servers))


@contextlib.contextmanager
def _postgresql(server: PostgresServer, _: PostgresDatabase) -> Iterator[Place]:
    database = server.create_database()
    try:
        yield Place(database.url())
    finally:
        server.drop_database(database)


@contextlib.contextmanager
def _inside(_: PostgresServer, data: PostgresDatabase) -> Iterator[Place]:
    yield Place(data.url())  # it goes with the database


@contextlib.contextmanager
def _sqlite(*_: Any) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="yc-history-") as folder:
        yield Place(f"sqlite:///{folder}/cache.db")


PLACES: Final[
    dict[
        str,
        Callable[[PostgresServer, PostgresDatabase], AbstractContextManager[Place]],
    ]
] = {
    REDIS: _redis,
    "inside": _inside,
    "memcached": _memcached,
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}
"""Each is given the server that has the data, and its database."""

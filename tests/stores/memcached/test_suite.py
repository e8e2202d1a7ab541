"""
The shipped suites over Memcached: one server, and three.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.services import MemcachedServer
from tests.support.memcached import LONG_AGO, forget_born, open_client, rely, url_of
from yokedcache.stores.versions import not_after
from yokedcache.testing.stores import CacheSuite, Process, StoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache.stores.memcached.client import MemcachedClient

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def one_server() -> Iterator[list[MemcachedServer]]:
    with MemcachedServer.several(1) as servers:
        yield servers


@pytest.fixture(scope="module")
def three_servers() -> Iterator[list[MemcachedServer]]:
    with MemcachedServer.several(3) as servers:
        yield servers


class OnMemcached(StoreSuite):
    lease: ClassVar[float] = 30.0
    examples: ClassVar[int] = 30 if "YOKEDCACHE_EVERY_KIND" in os.environ else 15
    servers: list[MemcachedServer]

    @pytest.fixture
    def connect(self, running: list[MemcachedServer]) -> Callable[..., MemcachedClient]:
        self.servers = running
        return lambda *, lease: rely(open_client(running, lease=lease))

    def settle(self, process: Process) -> None:
        client: Any = process.client
        for peer in client.peers:
            peer.memory._since = LONG_AGO
        forget_born(self.servers)

    def lose_memory(self, process: Process) -> None:
        for server in self.servers:
            server.flush()

    def lose_tag(self, process: Process, name: str) -> bool:
        made: Any = process.commands.tags([name])
        (share,) = made.shares
        address = process.client.peers[share.server].address  # type: ignore[attr-defined]
        (server,) = [one for one in self.servers if one.port == address[1]]
        return bool(server.say("delete", share.keys[0]))


class TestOneServer(OnMemcached):
    @pytest.fixture
    def running(self, one_server: list[MemcachedServer]) -> list[MemcachedServer]:
        return one_server


class TestThreeServers(OnMemcached):
    @pytest.fixture
    def running(self, three_servers: list[MemcachedServer]) -> list[MemcachedServer]:
        return three_servers

    def test_versions_come_from_one_counter_and_are_never_given_twice(
        self, one: Process, other: Process, new: Any
    ) -> None:
        tags = self._on_a_server(one, new)
        given = list(one.stamp(*tags).vector.versions)
        for process in (one, other, one):
            given.append(process.bump(tags[0]))
            fence = process.fence(*tags)
            given.append(fence.version)
            given.append(process.do(process.commands.lift(fence)).version)
        rest = given[2:]
        assert len({*rest}) == len(rest)
        for earlier, later in itertools.pairwise(rest):
            assert not_after(earlier, later)
            assert not not_after(later, earlier)

    def _on_a_server(self, process: Process, new: Any) -> list[str]:
        while True:
            tags = [new(), new()]
            made: Any = process.commands.tags(tags)
            if len(made.shares) == 1:
                return tags

    def test_a_note_stands_between_the_versions(
        self, one: Process, other: Process, new: Any
    ) -> None:
        tags = [new() for _ in range(8)]
        before = one.stamp(*tags).vector
        note = one.do(one.commands.note())
        assert before.not_after(note)
        stamp = one.stamp(*tags)
        assert stamp.counter is not None
        assert all(not_after(one, stamp.counter) for one in note.split(b" "))
        for tag in tags:
            other.bump(tag)
            assert not one.stamp(tag).vector.not_after(note)


@pytest.fixture(scope="module", params=[1, 3])
def url_of_new_servers(request: pytest.FixtureRequest) -> Iterator[str]:
    """
    Give the URL of servers that lose nothing, so that new processes rely on them.
    """
    with MemcachedServer.several(request.param) as servers:
        yield url_of(servers)


class TestCaches(CacheSuite):
    @pytest.fixture
    def url(self, url_of_new_servers: str) -> str:
        return url_of_new_servers

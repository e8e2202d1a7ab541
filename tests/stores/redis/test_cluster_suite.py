"""
The shipped suite over a Cluster: the contract, with a counter for each island.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.services.redis import RedisCluster
from yokedcache.stores.redis.cluster.client import ClusterClient
from yokedcache.stores.redis.cluster.commands import ClusterCommands
from yokedcache.stores.redis.cluster.layout import ClusterLayout
from yokedcache.stores.versions import not_after
from yokedcache.testing.stores import CacheSuite, Process, StoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(120)

LEASE = 30.0


def ticket() -> float:
    return 0.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster.running() as running:
        yield running


class TestCluster(StoreSuite):
    """
    One kind of server: the other tests of Clusters have all of them.
    """

    lease: ClassVar[float] = LEASE

    @pytest.fixture
    def connect(self, cluster: RedisCluster) -> Callable[..., ClusterClient]:
        self.cluster = cluster

        def opened(*, lease: float) -> ClusterClient:
            commands = ClusterCommands(ClusterLayout("suite"), lease=lease)
            return ClusterClient(cluster.url(), commands, ticket, limit=20.0)

        return opened

    def settle(self, process: Process) -> None:
        process.stamp()  # begins each counter
        for island in ClusterLayout("suite").islands:
            counter = island.counter.decode()
            node = self.cluster.owner(counter)
            version = node.say("GET", counter).rpartition(".")[0]
            node.say("SET", counter, f"{version}.1")
        for node in self.cluster.primaries:
            for key in node.say("KEYS", "suite:*:t:*"):
                if ";0," in (node.say("GET", key) or ""):
                    node.say("DEL", key)

    def lose_memory(self, process: Process) -> None:
        for node in self.cluster.primaries:
            node.say("FLUSHALL")

    def lose_tag(self, process: Process, name: str) -> bool:
        made: Any = process.commands.tags([name])
        key = made.keys[0].decode()
        return self.cluster.owner(key).say("DEL", key) == 1

    def lose_log(self, process: Process) -> bool:
        for island in ClusterLayout("suite").islands:
            log = island.log.decode()
            assert self.cluster.owner(log).say("DEL", log) == 1
        return True

    def test_versions_come_from_one_counter_and_are_never_given_twice(
        self, one: Process, other: Process, new: Any
    ) -> None:
        tags = self._on_an_island(one, new)
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

    def _on_an_island(self, process: Process, new: Any) -> list[str]:
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


class TestCachesInACluster(CacheSuite):
    @pytest.fixture
    def url(self, cluster: RedisCluster) -> str:
        return cluster.url()

"""
Answers near by behind Sentinel and in a Cluster, whose changes are heard as on one server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.services.redis import RedisCluster, SentinelGroup
from tests.shared.functions import Copy
from yokedcache import YokedCache
from yokedcache.shared.hearing import Listener
from yokedcache.stores.redis.cluster.layout import ClusterLayout
from yokedcache.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(120)

AGE = 30.0
LEASE = 2.0


class Pair:
    """
    Two processes: one that has answers near by, and another one.
    """

    def __init__(self, open_cache: Callable[..., YokedCache], url: str) -> None:
        self.clock = FakeClock()
        near = {"max_staleness": AGE}
        self.one = open_cache(url, clock=self.clock, near=near)
        self.other = open_cache(url)
        self.calls: list[int] = []
        tags = ["a", "b", "c", "d"]
        self.copy = Copy(
            self.one, "groups", lambda n: [n, len(self.copy.calls)], tags=tags
        )
        self.listener: Listener = self.one.machine.store._listener

    def poll(self) -> bool:
        self.clock.advance(0.25)
        answered = self.listener.poll()
        self.clock.advance(0.25)
        return answered

    def outlast(self) -> None:
        self.clock.advance(0.9 * AGE)
        self.poll()
        self.clock.advance(0.2 * AGE)

    def near(self) -> bool:
        """
        Tell whether an answer is near, and has stayed so for longer than its age.
        """
        self.poll()
        self.copy(1)
        if self.copy(1) != self.copy(1):
            return False
        self.outlast()
        store: Any = self.one.machine.store
        return any(map(store.stays_near, list(store.entries.values())))


@pytest.fixture
def open_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., YokedCache]]:
    monkeypatch.setattr(Listener, "_work", lambda _: None)
    opened: list[YokedCache] = []

    def make(url: str, **settings: Any) -> YokedCache:
        given = {"store_timeout": 5.0, "lease": LEASE, "jitter": 0.0, **settings}
        opened.append(YokedCache(url, **given))
        return opened[-1]

    yield make
    for cache in opened:
        cache.sync.close()


def is_heard(pair: Pair) -> None:
    """
    Expect that changes are heard, each of them, and that nothing is near before.
    """
    wait_until(pair.near)
    for tag in ("a", "b", "c", "d"):
        before = pair.copy(1)
        pair.other.sync.invalidate_tags(tag)
        assert pair.copy(1) == before
        pair.poll()
        assert pair.copy(1) != before
        wait_until(pair.near)


def test_behind_sentinel_what_others_change_is_heard(
    open_cache: Callable[..., YokedCache],
) -> None:
    with SentinelGroup.running() as group:
        pair = Pair(open_cache, group.url())
        is_heard(pair)
        since = pair.listener.backplane.since
        old = group.primary()
        old.kill()
        group.fail_over(old)
        # it is another server, once the old one isn't asked any more
        wait_until(lambda: pair.poll() and pair.listener.backplane.since > since)
        is_heard(pair)


def test_in_a_cluster_what_others_change_is_heard(
    open_cache: Callable[..., YokedCache],
) -> None:
    with RedisCluster.running() as cluster:
        pair = Pair(open_cache, cluster.url())
        is_heard(pair)
        # what one island has lost can't be told
        log = ClusterLayout("yc").islands[3].log.decode()
        assert cluster.owner(log).say("DEL", log) == 1
        since = pair.listener.backplane.since
        pair.poll()
        assert pair.listener.backplane.since > since
        is_heard(pair)

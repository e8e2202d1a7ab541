"""
A shared store in a Cluster, while its nodes fail, change places and hand slots over.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.services.redis import GROUPED, RedisCluster, RedisKind, Valkey, Variant
from tests.services.redis.groups import is_attached
from tests.support.ledger import Ledger, is_hit, leave_loops
from yokedcache import YokedCache
from yokedcache.errors import SettingsError, StoreError
from yokedcache.stores.redis.cluster.layout import ClusterLayout
from yokedcache.stores.redis.ways import read_way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer

pytestmark = pytest.mark.timeout(120)

LEASE = 6.0
"""
Seconds: longer than a breaker's pause, so that what is owed is told before it ends.
"""

GRACE = 5.0
"""
Seconds: a fence that a replica wasn't told the end of before it took over falls by time.
"""

TAGS = ("a", "b", "c", "d")
"""
On islands of three nodes, with the tag of everything.
"""


@pytest.fixture(params=GROUPED, ids=lambda kind: kind.name)
def cluster(request: pytest.FixtureRequest) -> Iterator[RedisCluster]:
    """
    Give a Cluster that the test may break: three primaries, each with a replica.
    """
    kind: RedisKind = request.param
    with RedisCluster.running(kind, replicas=True) as running:
        yield running


@pytest.fixture
def open_cache() -> Iterator[Callable[..., YokedCache]]:
    opened: list[YokedCache] = []

    def make(cluster: RedisCluster, **settings: Any) -> YokedCache:
        given = {
            "store_timeout": 0.5,
            "lease": LEASE,
            "orphan_grace": GRACE,
            "jitter": 0.0,
            "on_unreachable": "refuse",
            **settings,
        }
        opened.append(YokedCache(cluster.url(), **given))
        return opened[-1]

    yield make
    for cache in opened:
        cache.sync.close()


def settled(cache: YokedCache, ledger: Ledger) -> bool:
    """
    Tell whether every tag's answer is a hit.
    """
    return all(
        is_hit(cache, lambda tag=tag: ledger.read(cache, tag)) for tag in ledger.tags
    )


def owner_of(cluster: RedisCluster, tag: str) -> RedisServer:
    (share,) = ClusterLayout().tags([tag]).shares
    return cluster.owner(share.island.counter.decode())


# the URL


def test_a_url_names_nodes() -> None:
    way = read_way("redis+cluster://app:s@one:1,two/?ssl_ca_certs=ca.pem")
    assert way.hosts == (("one", 1), ("two", 6379))
    assert way.url == "redis://app:s@/?ssl_ca_certs=ca.pem"
    assert way.cluster


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+cluster://", "'' in the URL is no host"),
        ("valkey+cluster://one:0", "'one:0' in the URL is no host"),
        ("redis+cluster://one/1", "a Cluster has one database"),
        ("redis+cluster://one?db=1", "a Cluster has one database"),
    ],
)
def test_a_url_that_cannot_be_meant_says_how_it_reads(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        YokedCache(url)


def test_a_server_that_is_no_node_says_so(redis_url: str) -> None:
    address = redis_url.removeprefix("redis://").partition("/")[0]
    cache = YokedCache(f"redis+cluster://{address}", store_timeout=5.0)
    server = cache.machine.store.server
    for ask in (
        server.perform,
        lambda operation: asyncio.run(server.perform_async(operation)),
    ):
        with pytest.raises(StoreError, match="it is no node of a Cluster"):
            ask(server.commands.note())
    assert cache.sync.get("a", "nothing") == "nothing"
    cache.sync.close()


def test_nodes_that_want_a_password(caplog: pytest.LogCaptureFixture) -> None:
    with RedisCluster.running(variant=Variant(password="s3cret/@")) as cluster:
        url = cluster.url()
        cache = YokedCache(url, lease=0.2, store_timeout=5.0)
        wait_until(lambda: cache.sync.set("a", 1))
        assert asyncio.run(cache.get("a")) == 1
        wrong = YokedCache(url.replace("s3cret", "wr0ng"), store_timeout=5.0)
        assert wrong.sync.get("a") is None
        assert "invalid username-password pair" in caplog.text
        assert "wr0ng" not in caplog.text
        cache.sync.close()
        wrong.sync.close()


@pytest.mark.usefixtures("late_tickets")
def test_nodes_are_spoken_to_over_tls(caplog: pytest.LogCaptureFixture) -> None:
    with RedisCluster.running(variant=Variant(tls=True)) as cluster:
        url = cluster.url()
        cache = YokedCache(url, lease=0.2, store_timeout=5.0)
        wait_until(lambda: cache.sync.set("a", 1))
        assert asyncio.run(cache.get("a")) == 1
        stranger = YokedCache(url.partition("?")[0], store_timeout=5.0)
        assert stranger.sync.get("a") is None
        assert "certificate verify failed" in caplog.text
        cache.sync.close()
        stranger.sync.close()


# in use


def test_a_process_and_its_event_loops_share_a_cluster(
    cluster: RedisCluster, open_cache: Callable[..., YokedCache]
) -> None:
    one = open_cache(cluster, lease=0.3, store_timeout=5.0)
    wait_until(lambda: one.sync.set("a", 1, tags=TAGS))
    hosts = ",".join(f"{host}:{port}" for host, port in cluster.addresses[3:])
    url = f"valkey+cluster://{hosts}"  # replicas know who is who as well
    other = YokedCache(url, lease=0.3, store_timeout=5.0)
    assert other.sync.get("a") == 1
    assert asyncio.run(other.get("a")) == 1
    for tag in TAGS:
        wait_until(lambda: one.sync.set("a", 1, tags=TAGS))
        assert asyncio.run(other.get("a")) == 1
        one.sync.invalidate_tags(tag)
        assert other.sync.get("a") is None
    assert other.sync.clear() is None
    other.sync.close()
    assert leave_loops(url) == ""
    everywhere = [key for node in cluster.primaries for key in node.say("KEYS", "*")]
    assert all(key.startswith("yc:") for key in everywhere)


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_a_node_that_hangs_costs_no_more_than_a_look_up_may(
    cluster: RedisCluster, open_cache: Callable[..., YokedCache], loop: bool
) -> None:
    cache = open_cache(cluster, store_timeout=0.1, lease=0.3)
    ledger = Ledger(TAGS)
    wait_until(lambda: settled(cache, ledger))
    runner = asyncio.Runner()
    with owner_of(cluster, "a").suspended():
        began = time.monotonic()
        for _ in range(60):
            if loop:
                runner.run(ledger.read_in_loop(cache, "a"))
            else:
                ledger.read(cache, "a")
        # three, and one now and then: the breaker leaves the others out
        assert time.monotonic() - began < 60 * 0.1 / 2
        assert cache.stats().store_failures >= 3
    runner.close()
    wait_until(lambda: settled(cache, ledger))


@pytest.mark.slow
def test_nothing_is_stale_when_a_primary_dies(
    cluster: RedisCluster, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = open_cache(cluster), open_cache(cluster)
    ledger = Ledger(TAGS)
    assert len({owner_of(cluster, tag).port for tag in TAGS}) == 3
    wait_until(lambda: settled(other, ledger))
    with ledger.busy(one, other):
        wait_until(lambda: ledger.returned > 3)
        old = owner_of(cluster, "a")
        key = ClusterLayout().tags(["a"]).keys[0].decode()
        old.kill()
        cluster.fail_over(key, old)
        before = ledger.returned
        wait_until(lambda: ledger.returned > before + 3)
    assert ledger.wrong == []
    wait_until(lambda: settled(other, ledger))
    # the old one comes back as a replica, and changes nothing
    old.restart()
    new = cluster.owner(key)
    wait_until(lambda: is_attached(old, new))
    ledger.write(one)
    for tag in TAGS:
        ledger.read(other, tag)
    assert ledger.wrong == []


@pytest.mark.slow
def test_nothing_is_stale_when_a_primary_hands_over(
    cluster: RedisCluster, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = open_cache(cluster, lease=1.0), open_cache(cluster, lease=1.0)
    ledger = Ledger(TAGS)
    wait_until(lambda: settled(other, ledger))
    keys = ClusterLayout().tags(TAGS).keys
    # each primary once: it takes some time before the others elect another for it
    owners = {cluster.owner(key).port: key for key in map(bytes.decode, keys)}
    with ledger.busy(one, other):
        for key in owners.values():
            old = cluster.owner(key)
            replica = next(n for n in cluster.nodes if is_attached(n, old))
            replica.say("CLUSTER", "FAILOVER")
            assert cluster.fail_over(key, old) is replica
            before = ledger.returned
            wait_until(lambda before=before: ledger.returned > before + 3)
            wait_until(lambda old=old, new=replica: is_attached(old, new))
    assert ledger.wrong == []
    wait_until(lambda: settled(other, ledger))
    assert ledger.wrong == []


@pytest.mark.slow
def test_nothing_is_stale_while_slots_move(
    cluster: RedisCluster, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = open_cache(cluster, lease=1.0), open_cache(cluster, lease=1.0)
    ledger = Ledger(TAGS)
    wait_until(lambda: settled(other, ledger))
    (share,) = ClusterLayout().tags(["a"]).shares
    with ledger.busy(one, other):
        for _ in range(4):
            wait_until(lambda: is_hit(other, lambda: ledger.read(other, "a")))
            old = owner_of(cluster, "a")
            new = next(node for node in cluster.primaries if node is not old)
            with cluster.moving(share.island.slot, old, new) as keys:
                # the counter first: the tag is served, and no script has all it needs
                for key in sorted(keys, key=lambda key: not key.endswith(":n")):
                    before = ledger.returned
                    wait_until(lambda before=before: ledger.returned > before + 2)
                    cluster.carry(key, old, new)
            assert owner_of(cluster, "a") is new
            before = ledger.returned
            wait_until(lambda before=before: ledger.returned > before + 3)
    assert ledger.wrong == []
    assert ledger.refused == 0
    wait_until(lambda: settled(other, ledger))
    assert ledger.wrong == []


@pytest.mark.slow
def test_nothing_is_stale_when_a_slot_moves_at_once(
    open_cache: Callable[..., YokedCache],
) -> None:
    with RedisCluster.running(Valkey()) as cluster:
        one, other = open_cache(cluster, lease=1.0), open_cache(cluster, lease=1.0)
        ledger = Ledger(TAGS)
        wait_until(lambda: settled(other, ledger))
        (share,) = ClusterLayout().tags(["a"]).shares
        slots = "SLOTSRANGE", share.island.slot, share.island.slot
        with ledger.busy(one, other):
            for _ in range(3):
                wait_until(lambda: is_hit(other, lambda: ledger.read(other, "a")))
                old = owner_of(cluster, "a")
                new = next(node for node in cluster.primaries if node is not old)
                owner = new.say("CLUSTER", "MYID")
                old.say("CLUSTER", "MIGRATESLOTS", *slots, "NODE", owner)
                wait_until(lambda old=old: owner_of(cluster, "a") is not old)
                before = ledger.returned
                wait_until(lambda before=before: ledger.returned > before + 3)
        assert ledger.wrong == []
        assert ledger.refused == 0
        wait_until(lambda: settled(other, ledger))

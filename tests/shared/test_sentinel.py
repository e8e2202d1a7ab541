"""
The primary that sentinels name: found, left when another one is named, and found again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.services.redis import GROUPED, RedisKind, SentinelGroup, Variant
from tests.services.redis.groups import is_attached
from tests.support.ledger import Ledger, is_hit, leave_loops
from yokedcache import YokedCache
from yokedcache.errors import SettingsError, StoreError
from yokedcache.stores.redis import sentinel
from yokedcache.stores.redis.ways import read_way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer

pytestmark = pytest.mark.timeout(120)

LEASE = 6.0
"""
Seconds: longer than a breaker's pause, so that what is owed is told before it ends.
"""


@pytest.fixture(scope="module")
def group() -> Iterator[SentinelGroup]:
    """
    Give a group that the tests of a module share and don't break.
    """
    with SentinelGroup.running() as running:
        yield running


@pytest.fixture
def open_cache() -> Iterator[Callable[..., YokedCache]]:
    opened: list[YokedCache] = []

    def make(url: str, **settings: Any) -> YokedCache:
        given = {"store_timeout": 5.0, "lease": LEASE, "jitter": 0.0, **settings}
        opened.append(YokedCache(url, **given))
        return opened[-1]

    yield make
    for cache in opened:
        cache.sync.close()


def failure(cache: YokedCache, *, loop: bool) -> str:
    """
    Return what an operation of a cache that can't do it says, by one of the drivers.
    """
    server = cache.machine.store.server
    note = server.commands.note()
    try:
        if loop:
            asyncio.run(server.perform_async(note))
        else:
            server.perform(note)
    except StoreError as error:
        return str(error)
    raise AssertionError("it can be done")


# the URL


def test_a_url_names_sentinels_service_and_database() -> None:
    way = read_way(
        "redis+sentinel://app:s%40@one:1,[::1],one:1/my%20app/3"
        "?sentinel_username=w&sentinel_password=p&ssl_ca_certs=ca.pem"
    )
    assert way.hosts == (("one", 1), ("::1", 26379))
    assert way.service == "my app"
    assert way.watchers == "redis://w:p@"
    assert way.url == "redis://app:s%40@/3?ssl_ca_certs=ca.pem"


@pytest.mark.parametrize(
    ("scheme", "more", "watchers"),
    [
        ("rediss", "", "rediss://:@?ssl_ca_certs=ca.pem"),
        ("rediss", "&sentinel_ssl_ca_certs=a.pem", "rediss://:@?ssl_ca_certs=a.pem"),
        ("rediss", "&sentinel_ssl=false", "redis://:@"),
        ("redis", "&sentinel_ssl=true", "rediss://:@?ssl_ca_certs=ca.pem"),
        ("redis", "&sentinel_password=a/@", "redis://:a%2F%40@"),
    ],
)
def test_a_url_says_how_sentinels_are_connected_to(
    scheme: str, more: str, watchers: str
) -> None:
    way = read_way(f"{scheme}+sentinel://one/main?ssl_ca_certs=ca.pem{more}")
    assert way.watchers == watchers
    assert way.url == f"{scheme}:///?ssl_ca_certs=ca.pem"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://one:1,two:2", "names no service"),
        ("redis+sentinel:///main", "'' in the URL is no host"),
        ("redis+sentinel://one:1,/main", "'' in the URL is no host"),
        ("redis+sentinel://s:ecret@one:port/main", "'one:port' in the URL is no host"),
        ("redis+sentinel://one:70000/main", "'one:70000' in the URL is no host"),
        ("redis+sentinel://one/main/zero", "database is 'zero'"),
        ("redis+sentinel://one/main?sentinel_db=1", "unknown option 'sentinel_db'"),
        ("redis+sentinel://one/main?sentinel_ssl=on", "sentinel_ssl='on' in the URL"),
        ("valkey+sentinel://one", r"redis\+sentinel://host:26379,host:26379/service"),
    ],
)
def test_a_url_that_cannot_be_meant_says_how_it_reads(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        YokedCache(url)
    assert "ecret" not in repr(caught.value.__dict__)


# who answers


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_the_primary_is_found(
    group: SentinelGroup, open_cache: Callable[..., YokedCache], scheme: str
) -> None:
    url = f"{group.url()}/2?ttl=60".replace("redis", scheme, 1)
    one, other = open_cache(url, lease=0.2), open_cache(url, lease=0.2)
    wait_until(lambda: one.sync.set("a", 1, tags=["t"]))
    assert other.sync.get("a") == 1
    assert asyncio.run(other.get("a")) == 1
    one.sync.invalidate_tags("t")
    assert other.sync.get("a") is None
    assert "db2" in group.primary().info("keyspace")


def test_a_connection_to_the_primary_is_asked_again(
    group: SentinelGroup, open_cache: Callable[..., YokedCache]
) -> None:
    cache = open_cache(f"{group.url()}/2?ttl=60", lease=0.2)
    wait_until(lambda: cache.sync.set("a", 1))
    failed = cache.stats().store_failures

    async def ask() -> list[Any]:
        return [await cache.get("a") for _ in range(5)]

    assert asyncio.run(ask()) == [1] * 5
    assert cache.stats().store_failures == failed


def test_an_event_loop_that_ends_leaves_no_connection_open(
    group: SentinelGroup,
) -> None:
    assert leave_loops(group.url()) == ""


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_an_unknown_service_is_named(
    group: SentinelGroup, open_cache: Callable[..., YokedCache], loop: bool
) -> None:
    said = failure(open_cache(group.url("mine")), loop=loop)
    assert "no sentinel names a primary of 'mine'" in said
    assert f"127.0.0.1:{group.sentinels[0].port}: it doesn't watch that service" in said
    assert "SENTINEL MASTERS" in said


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_servers_that_are_no_sentinels_are_named(
    redis_server: RedisServer, open_cache: Callable[..., YokedCache], loop: bool
) -> None:
    url = f"redis+sentinel://127.0.0.1:{redis_server.port}/main"
    said = failure(open_cache(url), loop=loop)
    assert f"127.0.0.1:{redis_server.port}: it answers as no sentinel does" in said
    assert "the URL's hosts have to be sentinels" in said
    redis_server.kill()
    cache = open_cache(url)
    assert "it can't be reached" in failure(cache, loop=loop)
    assert cache.sync.get("a", "nothing") == "nothing"


@pytest.mark.usefixtures("late_tickets")
def test_sentinels_and_servers_are_spoken_to_over_tls(
    open_cache: Callable[..., YokedCache],
) -> None:
    with SentinelGroup.running(variant=Variant(tls=True)) as group:
        cache = open_cache(group.url(), lease=0.2)
        wait_until(lambda: cache.sync.set("a", 1))
        assert asyncio.run(open_cache(group.url()).get("a")) == 1
        stranger = open_cache(group.url().partition("?")[0])
        for loop in (False, True):
            assert "certificate verify failed" in failure(stranger, loop=loop)
        plain = group.url().replace("rediss", "redis")
        with pytest.raises(
            SettingsError, match=r"'ssl_ca_certs' of the store's URL.*TLS"
        ):
            open_cache(plain)
        open_text = open_cache(plain.partition("?")[0])
        assert "can't be reached" in failure(open_text, loop=False)


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_sentinels_and_servers_have_passwords_of_their_own(
    open_cache: Callable[..., YokedCache], loop: bool
) -> None:
    with SentinelGroup.running(variant=Variant(password="s3cret")) as group:
        for one in group.sentinels:
            one.say("ACL", "SETUSER", "default", "resetpass", ">w4tch")
        hosts = ",".join(f"{host}:{port}" for host, port in group.addresses)
        url = f"redis+sentinel://:s3cret@{hosts}/{group.name}"
        said = failure(open_cache(url), loop=loop)
        assert "sentinel_password=" in said
        assert "s3cret" not in said
        cache = open_cache(f"{url}?sentinel_password=w4tch", lease=0.2)
        if loop:
            wait_until(lambda: asyncio.run(cache.set("a", 1)))
        else:
            wait_until(lambda: cache.sync.set("a", 1))


def test_a_dead_sentinel_costs_nothing_but_a_try(
    open_cache: Callable[..., YokedCache],
) -> None:
    with SentinelGroup.running() as group:
        group.sentinels[0].process.kill()
        group.sentinels[1].process.suspend()
        cache = open_cache(group.url(), lease=0.2)
        wait_until(lambda: cache.sync.set("a", 1))
        assert asyncio.run(cache.get("a")) == 1
        assert cache.stats().store_failures == 0


# failovers


@pytest.mark.slow
@pytest.mark.parametrize("kind", GROUPED, ids=lambda kind: kind.name)
def test_nothing_is_stale_in_a_failover(
    kind: RedisKind, open_cache: Callable[..., YokedCache]
) -> None:
    with SentinelGroup.running(kind) as group:
        settings = {"on_unreachable": "refuse", "store_timeout": 0.5}
        one, other = (open_cache(group.url(), **settings) for _ in range(2))
        ledger = Ledger(("a", "b"))
        wait_until(lambda: is_hit(other, lambda: ledger.read(other, "a")))
        with ledger.busy(one, other):
            wait_until(lambda: ledger.returned > 3)
            old = group.primary()
            old.kill()
            new = group.fail_over(old)
            before = ledger.returned
            wait_until(lambda: ledger.returned > before + 3)
        assert ledger.wrong == []
        assert ledger.refused > 0
        # what was stored before is unreachable, and hits come back
        wait_until(lambda: is_hit(other, lambda: ledger.read(other, "a")))
        assert "yc:n" in new.say("KEYS", "yc:n")
        assert ledger.wrong == []
        # the old one comes back as a replica, and changes nothing
        old.restart()
        wait_until(lambda: is_attached(old, new))
        ledger.write(one)
        for tag in ledger.tags:
            ledger.read(other, tag)
        assert ledger.wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_a_primary_that_was_replaced_under_open_connections_is_left(
    open_cache: Callable[..., YokedCache], monkeypatch: pytest.MonkeyPatch, loop: bool
) -> None:
    monkeypatch.setattr(sentinel, "ASKED_AGAIN", 0.0)
    with SentinelGroup.running() as group:
        # slow to make a replica of the old one, as sentinels are outside of tests
        for one in group.sentinels:
            one.say("SENTINEL", "DEBUG", "publish-period", 60_000)
        cache = open_cache(group.url(), lease=0.2)
        wait_until(lambda: cache.sync.set("a", 1, tags=["t"]))
        old = group.primary()
        runner = asyncio.Runner()

        def get() -> Any:
            return runner.run(cache.get("a")) if loop else cache.sync.get("a")

        assert get() == 1
        group.sentinels[0].say("SENTINEL", "FAILOVER", group.name)
        new = group.fail_over(old)
        assert old.info("replication")["role"] == "master"  # it still thinks so
        assert get() is None
        wait_until(lambda: cache.sync.set("b", 1))
        assert new.say("EXISTS", "yc:n") == 1
        runner.run(cache.close())
        runner.close()

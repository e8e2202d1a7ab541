"""
A shared store on Memcached: how it is named, and what becomes of it in bad weather.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services import MemcachedServer
from tests.services.processes import wait_until
from tests.support.ledger import Ledger, is_hit, leave_loops
from tests.support.memcached import key_of, place_of, server_of, tag_on, url_of
from yokedcache import YokedCache
from yokedcache.core.tags import ANY_DATABASE
from yokedcache.errors import SettingsError, StoreError
from yokedcache.settings import read
from yokedcache.stores.memcached.layout import read_tag
from yokedcache.stores.memcached.ways import read_way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(120)

each_kind_of_write = pytest.mark.parametrize(
    "written", [(), (ANY_DATABASE,)], ids=["of_tags", "of_anything"]
)


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    """
    Give three servers that the test may break.
    """
    with MemcachedServer.several(3) as running:
        yield running


@pytest.fixture
def open_cache() -> Iterator[Callable[..., YokedCache]]:
    opened: list[YokedCache] = []

    def make(servers: list[MemcachedServer], **settings: Any) -> YokedCache:
        given = {"store_timeout": 5.0, "lease": 0.3, "jitter": 0.0, **settings}
        opened.append(YokedCache(url_of(servers), **given))
        return opened[-1]

    yield make
    for cache in opened:
        cache.sync.close()


def client_of(cache: YokedCache) -> Any:
    return cache.machine.store.server.client


def settled(cache: YokedCache, ledger: Ledger) -> bool:
    """
    Tell whether every tag's answer is a hit.
    """
    return all(
        is_hit(cache, lambda tag=tag: ledger.read(cache, tag)) for tag in ledger.tags
    )


def tags_on_each(cache: YokedCache, servers: list[MemcachedServer]) -> tuple[str, ...]:
    return tuple(tag_on(client_of(cache), servers, server) for server in servers)


# how it is named


def test_a_url_names_servers_in_any_order() -> None:
    way = read_way("memcached://Two:1,one,[::1]:3,[fe80::2]")
    assert way == (("::1", 3), ("fe80::2", 11211), ("one", 11211), ("two", 1))
    assert way == read_way("memcached://[fe80::2],one:11211,two:1,[::1]:3")
    settings = read("memcached://one,two?prefix=shop&lease=2s", {})
    assert settings.url == "memcached://one,two"
    assert (settings.prefix, settings.lease) == ("shop", 2.0)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memcached://", "'' in the URL is no host"),
        ("memcached://one:0", "'one:0' in the URL is no host"),
        ("memcached://one:x", "'one:x' in the URL is no host"),
        ("memcached://one:", "'one:' in the URL is no host"),
        ("memcached://one:99999", "'one:99999' in the URL is no host"),
        ("memcached://one,,two", "'' in the URL is no host"),
        ("memcached://one,one:11211", "one:11211 more than once"),
        ("memcached://one/0", "has no databases"),
        ("memcached://ann:secret@one", "is told no user"),
        ("memcached://one?timeout=3", "unknown option 'timeout'"),
        ("memcached://one?prefix=" + "x" * 300, "can't begin keys"),
    ],
)
def test_a_url_that_cannot_be_meant_says_how_it_reads(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as failed:
        YokedCache(url)
    assert "secret" not in str(failed.value)
    assert isinstance(failed.value, SettingsError) or "prefix" in url


def test_the_client_library_is_asked_for_when_it_is_missing() -> None:
    program = """
import sys
sys.modules["pymemcache"] = None
from yokedcache import YokedCache
try:
    YokedCache("memcached://localhost")
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'yokedcache[memcached]'" in done.stdout


def test_who_names_the_servers_otherwise_is_refused(
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = open_cache(servers)
    wait_until(lambda: one.sync.set("a", 1))
    url = url_of(servers).replace("127.0.0.1", "localhost")
    other = YokedCache(url, store_timeout=5.0, on_unreachable="refuse")
    assert other.sync.get("a") is None
    assert not other.sync.set("a", 2)
    began = time.monotonic()
    with pytest.raises(StoreError, match="with other servers than these"):
        other.machine.store.fence(["a", "b", "c", "d"])
    assert time.monotonic() - began < 20
    assert "all processes have to name the same ones" in caplog.text
    assert one.sync.get("a") == 1
    other.sync.close()


# in use


def test_applications_of_two_prefixes_share_servers_and_clear_only_their_own(
    servers: list[MemcachedServer], open_cache: Callable[..., YokedCache]
) -> None:
    one, other = open_cache(servers, prefix="one"), open_cache(servers, prefix="other")
    servers[0].say("set", "somebody", "else's")
    wait_until(lambda: one.sync.set("a", 1))
    wait_until(lambda: other.sync.set("a", 2))
    one.sync.clear()
    assert one.sync.get("a") is None
    assert other.sync.get("a") == 2
    assert servers[0].say("get", "somebody") == b"else's"
    assert leave_loops(url_of(servers)) == ""


# bad weather


def test_a_dead_server_takes_what_lies_there_and_nothing_else(
    servers: list[MemcachedServer], open_cache: Callable[..., YokedCache]
) -> None:
    cache = open_cache(servers, on_unreachable="refuse", store_timeout=1.0)
    dead, alive, _ = servers
    gone, there = (tag_on(client_of(cache), servers, one) for one in (dead, alive))
    ledger = Ledger((gone, there))
    dead.kill()
    store = cache.machine.store
    for _ in range(6):
        with pytest.raises(StoreError):
            store.fence([gone])
        store.lift(store.fence([there]))
    began = time.monotonic()
    for _ in range(10):  # it is known to be gone by now
        with pytest.raises(StoreError):
            store.fence([gone])
    assert time.monotonic() - began < 10 * 0.5
    # what lies on the others is served, whatever lies there is asked for in between
    keys = [f"key {number}" for number in range(30)]
    there_keys = [
        key for key in keys if place_of(client_of(cache), servers, key) is not dead
    ]
    assert there_keys
    for key in there_keys:
        wait_until(lambda key=key: cache.sync.set(key, key, tags=[there]))
    for key in there_keys:
        assert cache.sync.get_or_set("x", ledger.load, tags=[gone]) == 0
        assert cache.sync.get(key) == key
    dead.restart()
    wait_until(lambda: settled(cache, ledger))
    store.lift(store.fence([gone]))


def test_what_is_owed_to_one_server_is_said_to_the_others_once(
    servers: list[MemcachedServer], open_cache: Callable[..., YokedCache]
) -> None:
    cache = open_cache(servers, store_timeout=1.0, announce_timeout=0.3)
    dead, alive, _ = tags_on_each(cache, servers)
    wait_until(lambda: cache.sync.set("a", 1, tags=[dead, alive]))
    servers[0].kill()
    cache.sync.invalidate_tags([dead, alive])
    assert cache.stats().owed == 1
    key = key_of(client_of(cache), alive)
    before = read_tag(servers[1].say("get", key)).version
    failures = cache.stats().store_failures
    wait_until(lambda: cache.stats().store_failures > failures + 2)
    assert read_tag(servers[1].say("get", key)).version == before
    assert cache.stats().owed == 1
    servers[0].restart()
    wait_until(lambda: cache.stats().owed == 0)


def test_what_is_owed_to_one_server_keeps_nothing_from_the_others(
    servers: list[MemcachedServer], open_cache: Callable[..., YokedCache]
) -> None:
    cache = open_cache(servers, store_timeout=1.0, announce_timeout=0.3)
    one, two, _ = tags_on_each(cache, servers)
    store = cache.machine.store
    servers[0].kill()
    servers[1].kill()
    store.lift(store.fence([one]))
    store.lift(store.fence([two]))
    assert cache.stats().owed == 2
    servers[1].restart()
    wait_until(lambda: cache.stats().owed == 1)
    servers[0].restart()
    wait_until(lambda: cache.stats().owed == 0)


def test_fences_on_the_others_are_vouched_for_while_one_is_dead(
    servers: list[MemcachedServer], open_cache: Callable[..., YokedCache]
) -> None:
    cache = open_cache(servers, announce_timeout=0.3)
    client, store = client_of(cache), cache.machine.store
    raised = {}
    for number in range(20):  # in whatever order they are vouched for
        tag = f"tag {number}"
        fence = store.fence([tag])
        if server_of(client, servers, tag) is servers[1]:
            raised[key_of(client, tag)] = fence.raised.token
    servers[0].kill()
    for key in raised:
        servers[1].say("delete", key)

    def back(key: bytes) -> bool:
        kept = read_tag(servers[1].say("get", key))
        return raised[key] in {fence.token for fence in kept.fences}

    wait_until(lambda: all(map(back, raised)))


@each_kind_of_write
def test_nothing_is_stale_when_a_server_hangs_and_goes_on(
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
    written: tuple[str, ...],
) -> None:
    writer, reader = (
        open_cache(servers, store_timeout=0.2, announce_timeout=0.2) for _ in range(2)
    )
    tags = tags_on_each(writer, servers)
    ledger = Ledger(tags, written)
    wait_until(lambda: settled(reader, ledger))
    with servers[0].suspended():
        for _ in range(4):
            ledger.write(writer)
            for tag in tags:
                ledger.read(reader, tag)
                asyncio.run(ledger.read_in_loop(reader, tag))
    wait_until(lambda: writer.stats().owed == 0 and settled(reader, ledger))
    assert ledger.number >= 4
    assert ledger.wrong == []


@each_kind_of_write
def test_nothing_is_stale_while_servers_restart_and_are_flushed(
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
    written: tuple[str, ...],
) -> None:
    settings = {"on_unreachable": "refuse", "store_timeout": 0.5, "lease": 2.0}
    one, other = (open_cache(servers, **settings) for _ in range(2))
    ledger = Ledger(tags_on_each(one, servers), written)
    with ledger.busy(one, other):
        for server in servers[:2]:
            before = ledger.returned
            wait_until(lambda before=before: ledger.returned > before + 3)
            server.restart()
        servers[2].flush()
        before = ledger.returned
        wait_until(lambda: ledger.returned > before + 3)
    assert ledger.wrong == []
    wait_until(lambda: settled(other, ledger))

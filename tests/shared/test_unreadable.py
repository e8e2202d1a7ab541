"""
What lies in a shared store and can't be read is a miss, counted, and said once a kind.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.services import MemcachedServer
from tests.services.processes import wait_until
from tests.services.redis import RedisCluster
from tests.support.spoiling import (
    SPOILT,
    MemcachedSpoiler,
    PostgresSpoiler,
    RedisSpoiler,
    Spoiler,
    SqliteSpoiler,
)
from yokedcache import boarding, cached
from yokedcache.codec import frame
from yokedcache.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache import YokedCache

    Meet = Callable[[str], tuple[Spoiler, YokedCache]]

pytestmark = pytest.mark.timeout(120)

CASES = [
    pytest.param(store, name, id=f"{store}-{name}")
    for store, spoilt in SPOILT.items()
    for name in spoilt
]
SAID = {
    "foreign": "something that isn't ours lies there",
    "truncated": "it isn't as long as it says",
    "corrupted": "it isn't what was stored",
    "other_layout": "another version of yokedcache has stored it",
    "payload": "the stored payload ",
}

MISREAD = {
    store: "versions" if "versions" in SPOILT[store] else "head" for store in SPOILT
}


OVERSIZED = {
    "redis": lambda _: b"x" * 120_000_000,
    "cluster": lambda _: b"x" * 120_000_000,
    "postgresql": "payload = convert_to(repeat('x', 70000000), 'UTF8')",
}
"""So much that it can't come within the time that the test gives it."""


@pytest.fixture(scope="module")
def open_spoilers(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[str], Spoiler]]:
    """
    Give a function that gives a store of a kind, which the tests of the module share.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        MemcachedServer.running() as memcached,
        RedisCluster.running() as cluster,
    ):
        made: dict[str, Callable[[], Spoiler]] = {
            "redis": lambda: RedisSpoiler(request.getfixturevalue("server")),
            "cluster": lambda: RedisSpoiler(cluster),
            "memcached": lambda: MemcachedSpoiler(memcached),
            "sqlite": lambda: SqliteSpoiler(Path(folder) / "cache.db"),
            "postgresql": lambda: PostgresSpoiler(
                request.getfixturevalue("postgres_module_database")
            ),
        }
        yield lambda store: made[store]()


@pytest.fixture(autouse=True)
def said_anew() -> Iterator[None]:
    log.forget()
    yield
    log.forget()


@pytest.fixture(params=["sync", "async"])
def get(request: pytest.FixtureRequest) -> Callable[[YokedCache, str], Any]:
    """
    Give what looks a plain key up, in a thread or in an event loop.
    """
    if request.param == "sync":
        return lambda cache, key: cache.sync.get(key)
    return lambda cache, key: asyncio.run(cache.get(key))


@pytest.fixture
def meet(
    open_spoilers: Callable[[str], Spoiler], open_cache: Callable[..., YokedCache]
) -> Meet:
    """
    Give a function that gives a store of a kind, and a cache on it.
    """

    def met(store: str) -> tuple[Spoiler, YokedCache]:
        spoiler = open_spoilers(store)
        return spoiler, open_cache(spoiler, lease=0.3)

    return met


@pytest.mark.parametrize(("store", "name"), CASES)
def test_an_answer_that_cannot_be_read_is_counted_once(
    meet: Meet,
    get: Callable[[YokedCache, str], Any],
    caplog: pytest.LogCaptureFixture,
    store: str,
    name: str,
) -> None:
    spoiler, cache = meet(store)
    how, reason = SPOILT[store][name]
    wait_until(lambda: cache.sync.set("a", 1, tags=["t"]))
    before = cache.stats()
    spoiler.spoil(cache, ("keys", "a"), how)
    caplog.clear()
    for times in (1, 2):
        cache.machine.store.entries.clear()
        assert get(cache, "a") is None
        assert cache.stats().unreadable == before.unreadable + times
    lines = [r.getMessage() for r in caplog.records if "`unreadable`" in r.getMessage()]
    assert len(lines) == 1
    assert SAID[reason] in lines[0]
    wait_until(lambda: cache.sync.set("a", 2, tags=["t"]))
    assert get(cache, "a") == 2
    assert cache.stats().unreadable == before.unreadable + 2
    assert cache.stats().store_failures == before.store_failures


@pytest.mark.parametrize("store", ["redis", "cluster", "postgresql"])
def test_what_is_too_large_to_come_in_time_is_left_unread(
    open_spoilers: Callable[[str], Spoiler],
    open_cache: Callable[..., YokedCache],
    get: Callable[[YokedCache, str], Any],
    said: pytest.LogCaptureFixture,
    store: str,
) -> None:
    spoiler = open_spoilers(store)
    cache = open_cache(spoiler, lease=0.3, store_timeout=0.05)
    wait_until(lambda: cache.sync.set("a", 1, tags=["t"]))
    wait_until(lambda: get(cache, "a") == 1)
    before = cache.stats().unreadable
    spoiler.spoil(cache, ("keys", "a"), OVERSIZED[store])

    def is_counted() -> bool:
        assert get(cache, "a") is None
        return cache.stats().unreadable > before

    wait_until(is_counted)
    assert "an entry of the shared store is a miss" in said.text

    def is_counted_without_a_failure() -> bool:
        before = cache.stats()
        assert get(cache, "a") is None
        after = cache.stats()
        failures = after.store_failures - before.store_failures
        return (after.unreadable - before.unreadable, failures) == (1, 0)

    wait_until(is_counted_without_a_failure)
    wait_until(lambda: cache.sync.set("a", 2, tags=["t"]))
    wait_until(lambda: get(cache, "a") == 2)
    counted = cache.stats().unreadable
    assert get(cache, "a") == 2
    assert cache.stats().unreadable == counted


@pytest.mark.parametrize("store", ["redis", "cluster"])
@pytest.mark.parametrize("known", [True, False])
def test_a_load_takes_the_place_of_what_is_too_large(
    open_spoilers: Callable[[str], Spoiler],
    open_cache: Callable[..., YokedCache],
    monkeypatch: pytest.MonkeyPatch,
    store: str,
    known: bool,
) -> None:
    monkeypatch.setattr(boarding, "CHEAP", 0.0)  # each load is claimed, after a look
    spoiler = open_spoilers(store)
    cache = open_cache(spoiler, lease=0.3, store_timeout=0.05)
    near, runs = cache.machine.store, []

    @cached(cache=cache, ttl=60)
    def load() -> int:
        return runs.append(1) or len(runs)

    def is_served() -> bool:
        return load() == load()

    wait_until(is_served)
    (key,) = (key for key in near.entries if key != ("keys", "settled"))
    before = cache.stats().unreadable
    spoiler.spoil(cache, key, OVERSIZED[store])
    if not known:  # by another process
        near.entries.clear()

    def is_met() -> bool:
        load()
        return cache.stats().unreadable > before

    wait_until(is_met)
    wait_until(is_served)


@pytest.mark.parametrize("store", SPOILT)
def test_ordinary_misses_are_not_counted(
    meet: Meet,
    get: Callable[[YokedCache, str], Any],
    caplog: pytest.LogCaptureFixture,
    store: str,
) -> None:
    _, cache = meet(store)
    near = cache.machine.store
    assert get(cache, "absent") is None
    wait_until(lambda: cache.sync.set("a", 1, tags=["t"]))
    cache.sync.invalidate_tags("t")
    near.entries.clear()
    assert get(cache, "a") is None  # changed
    wait_until(lambda: cache.sync.set("a", 1, tags=["t"]))
    fence = near.fence(["t"])
    near.entries.clear()
    assert get(cache, "a") is None  # under a fence
    near.lift(fence)
    assert cache.sync.set("a", 1, tags=["t"])
    assert cache.sync.delete("a")
    assert get(cache, "a") is None
    assert cache.sync.set("a", 1, ttl="1ms")
    wait_until(lambda: get(cache, "a") is None)
    assert cache.stats().unreadable == 0
    assert "`unreadable`" not in caplog.text


@pytest.mark.parametrize("store", SPOILT)
def test_what_a_call_meets_twice_is_counted_once(
    meet: Meet,
    monkeypatch: pytest.MonkeyPatch,
    store: str,
) -> None:
    monkeypatch.setattr(boarding, "CHEAP", 0.0)  # each load is claimed, after a look
    spoiler, cache = meet(store)
    near, runs = cache.machine.store, []

    @cached(cache=cache, ttl=60)
    def load() -> int:
        return runs.append(1) or len(runs)

    assert load() == load() == 1
    (key,) = (key for key in near.entries if key != ("keys", "settled"))
    for times, name in enumerate(("payload", MISREAD[store]), 2):
        spoiler.spoil(cache, key, SPOILT[store][name][0])
        near.entries.clear()
        assert load() == load() == times
        assert cache.stats().unreadable == times - 1


def test_a_value_that_nobody_would_read_is_not_stored(
    meet: Meet,
    get: Callable[[YokedCache, str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, cache = meet("redis")
    monkeypatch.setattr(frame, "LARGEST", 5000)
    fits, large = b"x" * 4000, b"x" * 6000  # compressed it would be small

    @cached(cache=cache, ttl=60)
    def load(size: int) -> bytes:
        return b"x" * size

    assert cache.sync.set("a", fits)
    assert not cache.sync.set("a", large)
    assert get(cache, "a") is None
    assert load(6000) == load(6000) == large
    counts = cache.stats()
    assert counts.by_name["keys"].refusals["too_large"] == 1
    assert counts.total.refusals["too_large"] == 3
    assert counts.unreadable == 0

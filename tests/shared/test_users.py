"""
A cache whose user has the rights that the docs list; and one that lacks some of them.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from tests.services.processes import wait_until
from tests.services.redis import GROUPED, RedisKind, SentinelGroup
from tests.shared.functions import Copy
from tests.support.models import User
from tests.support.redis_users import APP, WATCHER, as_user, denied, give, url_for
from yokedcache import YokedCache
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session, sessionmaker

    from tests.services.redis import RedisServer

pytestmark = pytest.mark.timeout(120)

SETTINGS: dict[str, Any] = {
    "lease": 0.3,
    "jitter": 0.0,
    "store_timeout": 5.0,
    "near": {"max_staleness": 0.2},
    "announce_timeout": 10.0,
}
SLOW = 0.01
"""Seconds that a load takes to be claimed."""


def load(n: int) -> int:
    time.sleep(SLOW)
    return n


@pytest.fixture
def opened() -> Iterator[Callable[..., YokedCache]]:
    caches: list[YokedCache] = []

    def connect(url: str, **settings: Any) -> YokedCache:
        caches.append(YokedCache(url, **{**SETTINGS, **settings}))
        return caches[-1]

    yield connect
    for cache in caches:
        cache.sync.close()


def use(cache: YokedCache) -> None:
    """
    Do what a cache is there for, until answers near by are heard of; fail if it fails.
    """
    copy = Copy(cache, "used", load, tags=["t"])
    hits = cache.stats().total.hits
    wait_until(
        lambda: (
            cache.sync.set("a", 1, tags=["t"])
            and copy(1) == 1
            and cache.stats().total.hits > hits
            and cache.stats().near == "heard"
        )
    )
    assert asyncio.run(_in_a_loop(cache)) == 2
    cache.sync.invalidate_tags("t")
    assert cache.sync.get("a") is None
    cache.sync.delete("a")
    cache.sync.clear()
    assert copy(1) == 1
    assert cache.stats().store_failures == 0


async def _in_a_loop(cache: YokedCache) -> Any:
    assert await cache.set("b", 2)
    found = await cache.get("b")
    await cache.delete("b")
    return found


def test_a_cache_runs_with_the_rights_of_the_docs(
    make_redis: Callable[..., RedisServer],
    redis_kind: RedisKind,
    opened: Callable[..., YokedCache],
    maker: sessionmaker[Session],
) -> None:
    server = make_redis(redis_kind)
    give(server, APP)
    cache = opened(url_for(server))
    use(cache)
    attached = cache.attach(maker)
    with attached.begin() as session:
        session.execute(update(User).values(name="new"))
    assert cache.stats().store_failures == 0
    assert denied(server) == []


def test_a_cache_runs_without_the_right_to_measure(
    make_redis: Callable[..., RedisServer],
    opened: Callable[..., YokedCache],
    said: pytest.LogCaptureFixture,
) -> None:
    server = make_redis()
    give(server, APP, but="strlen")
    cache = opened(url_for(server))
    wait_until(lambda: cache.sync.set("a", 1, tags=["t"]))
    key = ("keys", "a")
    cache.machine.store.suspects.keys[key] = False
    cache.machine.store.entries.clear()
    assert cache.sync.get("a") == 1
    assert cache.sync.get("a") == 1
    assert not cache.machine.store.suspects.keys
    assert denied(server) == ["strlen"]
    assert said.text.count("lacks `+strlen`") == 1


@pytest.mark.parametrize("kind", GROUPED, ids=lambda kind: kind.name)
def test_a_cache_runs_with_them_behind_sentinel(
    kind: RedisKind, opened: Callable[..., YokedCache]
) -> None:
    with SentinelGroup.running(kind) as group:
        for server in group.servers:
            give(server, APP)
        for sentinel in group.sentinels:
            give(sentinel, WATCHER, name="watcher")
        url = as_user(group.url())
        url += "?sentinel_username=watcher&sentinel_password=password"
        use(opened(url))
        watching = [*group.servers, *group.sentinels]
        assert [denied(one) for one in watching] == [[]] * len(watching)
        for sentinel in group.sentinels:
            give(sentinel, WATCHER, but="sentinel|masters", name="watcher")
        server = opened(url).machine.store.server
        for ask in (server.perform, lambda op: asyncio.run(server.perform_async(op))):
            with pytest.raises(StoreError, match=r"lacks `\+sentinel\|masters`"):
                ask(server.commands.note())


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("command", "asked"), [("info", "read"), ("getex", "read"), ("persist", "bump")]
)
def test_the_log_says_once_what_is_missing(
    *,
    make_redis: Callable[..., RedisServer],
    redis_kind: RedisKind,
    opened: Callable[..., YokedCache],
    caplog: pytest.LogCaptureFixture,
    command: str,
    asked: str,
    loop: bool,
) -> None:
    server = make_redis(redis_kind)
    give(server, APP, but=command)
    cache = opened(url_for(server), near=False, announce_timeout=30.0)
    began = time.monotonic()
    for _ in range(2):
        if loop:
            asyncio.run(_ask(cache, asked))
        elif asked == "read":
            cache.sync.get("a")
        else:
            cache.sync.invalidate_tags("t")
    # an announcement isn't tried again that can't be made
    assert time.monotonic() - began < 10.0
    lines = [one for one in caplog.messages if f"lacks `+{command}`" in one]
    # what is owed is tried again meanwhile
    said = [line for line in lines if line.startswith("a shared store failed: ")]
    assert len(said) == 1


async def _ask(cache: YokedCache, asked: str) -> None:
    if asked == "read":
        await cache.get("a")
    else:
        await cache.invalidate_tags("t")

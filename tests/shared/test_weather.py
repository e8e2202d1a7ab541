"""
A store that is gone, hangs, lost its memory or comes back; and processes that die.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.support.held import LIMIT
from tests.support.models import User
from yokedcache import YokedCache, cached
from yokedcache.errors import StoreError
from yokedcache.stores.redis.aio import AsyncRedisStore
from yokedcache.stores.redis.folding import Fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer
    from tests.shared.conftest import Place

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy((redis_server.host, redis_server.port)) as made:
        yield made


def through(server: RedisServer, proxy: Proxy, **settings: Any) -> YokedCache:
    """
    Open a cache whose way to the server can be cut.
    """
    given = {"lease": 0.5, "store_timeout": 0.5, "announce_timeout": 0.5, **settings}
    cache = YokedCache(server.url(port=proxy.port), jitter=0.0, **given)
    wait_until(lambda: cache.sync.set("settled", 1))
    return cache


def rename(maker: sessionmaker[Session], name: str) -> None:
    with maker() as session:
        session.get_one(User, 1).name = name
        session.commit()


def name_in(maker: sessionmaker[Session]) -> str:
    with maker() as session:
        return session.scalars(select(User.name).where(User.id == 1)).one()


def wait_told(cache: YokedCache, ready: Callable[[], bool]) -> None:
    """
    Wait until something is so; fail with what the cache says of itself.
    """
    try:
        wait_until(ready)
    except TimeoutError:
        pytest.fail(f"it never came to that: {cache.stats()}")


BAD = {
    "cut": lambda proxy: (proxy.refuse(), proxy.cut()),
    "silent": lambda proxy: proxy.hold(),
    "swallowing": lambda proxy: proxy.swallow(),
}


@pytest.mark.usefixtures("no_cycles_are_freed")
@pytest.mark.parametrize("weather", BAD)
def test_hole_22_the_application_goes_on_and_the_store_is_told_later(
    redis_server: RedisServer, proxy: Proxy, maker: sessionmaker[Session], weather: str
) -> None:
    cache = through(redis_server, proxy)
    witness = YokedCache(redis_server.url(), lease=0.5, store_timeout=10.0)
    attached = cache.attach(sessionmaker(maker.kw["bind"]))
    calls: list[int] = []

    @cached(cache=cache)
    def name() -> str:
        calls.append(1)
        return name_in(maker)

    def served() -> bool:
        before = cache.stats().total.hits
        name(), name_in(attached)
        return cache.stats().total.hits == before + 2

    wait_told(cache, served)
    table = next(n for n in cache.machine.store.names() if n.startswith("table:users@"))
    assert witness.sync.set("seen", 1, tags=[table])
    BAD[weather](proxy)
    # two machines hear of it in this process; the second has a store that answers
    rename(maker, "new")
    assert name() == name_in(attached) == "new"
    assert cache.sync.get("settled") is None
    assert not cache.sync.set("settled", 2)
    assert cache.stats().owed > 0
    assert cache.stats().store_failures > 0
    proxy.restore()
    wait_until(lambda: cache.stats().owed == 0)
    wait_told(cache, served)
    assert name() == name_in(attached) == "new"
    assert witness.sync.get("seen") is None
    cache.sync.close()
    witness.sync.close()


def test_hole_22_what_is_owed_is_told_to_everyone(
    redis_server: RedisServer, proxy: Proxy
) -> None:
    one = through(redis_server, proxy)
    other = YokedCache(redis_server.url(), lease=0.5, store_timeout=10.0)
    assert other.sync.set("a", 1, tags=["t"])
    proxy.refuse()
    proxy.cut()
    one.sync.invalidate_tags("t")
    assert one.stats().owed == 1
    assert other.sync.get("a") == 1  # as the page says
    proxy.restore()
    wait_until(lambda: one.stats().owed == 0)
    assert other.sync.get("a") is None
    one.sync.close()
    other.sync.close()


def test_closing_says_what_is_owed(redis_server: RedisServer, proxy: Proxy) -> None:
    one = through(redis_server, proxy, announce_timeout=5.0)
    other = YokedCache(redis_server.url(), lease=0.5, store_timeout=10.0)
    assert other.sync.set("a", 1, tags=["t"])
    proxy.refuse()
    proxy.cut()
    one.sync.invalidate_tags("t")
    proxy.restore()
    one.sync.close()
    assert other.sync.get("a") is None
    other.sync.close()


async def test_closing_in_a_loop_says_it_elsewhere(
    redis_server: RedisServer, proxy: Proxy
) -> None:
    settings: dict[str, Any] = {"announce_timeout": 5.0}
    one = await asyncio.to_thread(through, redis_server, proxy, **settings)
    other = YokedCache(redis_server.url(), lease=0.5, store_timeout=10.0)
    assert await other.set("a", 1, tags=["t"])
    proxy.refuse()
    proxy.cut()
    await one.invalidate_tags("t")
    assert one.stats().owed == 1
    proxy.restore()
    await one.close()  # whatever blocks the loop fails here
    assert await other.get("a") is None
    await other.close()


async def test_a_fault_of_ours_is_a_miss_and_cancels_nobody(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = YokedCache(server.url(), lease=0.2, store_timeout=10.0)
    await cache.get("a")

    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(
            Fold, "share_out", None
        )  # of what came over the open connection
        both = await asyncio.gather(*(cache.get(key, "nothing") for key in "ab"))
        assert both == ["nothing", "nothing"]
    assert cache.stats().store_failures == 2
    monkeypatch.setattr(AsyncRedisStore, "_using", broken)  # which opens another one
    assert await cache.get("a", "nothing") == "nothing"
    assert cache.stats().store_failures == 3
    await cache.close()


def test_hole_22_refuse_fails_a_commit_before_it_is_sent(
    redis_server: RedisServer, proxy: Proxy, maker: sessionmaker[Session]
) -> None:
    cache = through(redis_server, proxy, on_unreachable="refuse")
    rename(maker, "newer")
    proxy.refuse()
    proxy.cut()
    with maker() as session:
        session.get_one(User, 1).name = "lost"
        with pytest.raises(StoreError):
            session.commit()
        session.rollback()
        assert session.get_one(User, 1).name == "newer"
    assert name_in(maker) == "newer"  # a query never fails
    proxy.restore()
    wait_until(lambda: cache.stats().owed == 0)
    rename(maker, "newest")
    assert name_in(maker) == "newest"
    cache.sync.close()


def test_a_look_up_takes_no_longer_than_it_may(
    redis_server: RedisServer, proxy: Proxy
) -> None:
    cache = through(redis_server, proxy, store_timeout=0.05, announce_timeout=0.2)
    proxy.hold()
    began = time.monotonic()
    for _ in range(200):
        assert cache.sync.get("settled") is None
    # three, and one now and then: the breaker leaves the others out
    assert time.monotonic() - began < 200 * 0.05 / 2
    began = time.monotonic()
    cache.sync.invalidate_tags("t")
    assert time.monotonic() - began < LIMIT / 2
    proxy.restore()
    wait_until(lambda: cache.sync.set("settled", 1))
    cache.sync.close()


@pytest.mark.parametrize("how", ["restart", "empty", "flush"])
def test_a_server_that_lost_its_memory(
    make_redis: Callable[..., RedisServer],
    how: str,
    said: pytest.LogCaptureFixture,
) -> None:
    server = make_redis(persistence="log") if how == "restart" else make_redis()
    one, other = (
        YokedCache(server.url(), lease=0.3, store_timeout=5.0, jitter=0.0)
        for _ in range(2)
    )
    wait_until(lambda: one.sync.set("a", 1, tags=["t"]))
    assert other.sync.get("a") == 1
    assert one.stats().store_losses == 0  # that it was new is no loss
    if how == "flush":
        server.flush()
    else:
        server.restart(with_data=how == "restart")
    wait_until(lambda: one.stats().store_failures == 0 or one.sync.get("a") is None)
    assert one.sync.get("a") is None
    assert other.sync.get("a") is None
    wait_until(lambda: one.sync.set("a", 2, tags=["t"]))
    wait_until(lambda: other.sync.get("a") == 2)
    other.sync.invalidate_tags("t")
    assert one.sync.get("a") is None
    stats = one.stats()
    assert stats.store_losses == 1
    assert stats.store == "asked"
    assert stats.store_misses["incarnation" if how == "restart" else "absent"] > 0
    # said once: the others in this process have lost the same
    assert said.text.count("a shared store has lost tags") == 1
    one.sync.close()
    other.sync.close()


def test_a_fence_stands_as_long_as_its_writer_lives(
    place: Place, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = (open_cache(place, lease=0.2) for _ in range(2))
    fence = one.machine.store.fence(["held"])
    began = time.monotonic()
    while time.monotonic() - began < 1.0:  # five leases
        assert not other.sync.set("a", 1, tags=["held"])
    one.machine.store.lift(fence)
    wait_until(lambda: other.sync.set("a", 1, tags=["held"]))
    assert one.sync.get("a") == 1


def test_a_dead_writers_fence_falls_when_its_grace_is_over(
    place: Place, open_cache: Callable[..., YokedCache]
) -> None:
    one, other, third = (
        open_cache(place, lease=0.2, orphan_grace=0.5) for _ in range(3)
    )
    one.machine.store.fence(["orphaned"])
    one.machine.store._fencing.begin_anew()  # nobody vouches for it any more
    began = time.monotonic()
    assert not other.sync.set("a", 1, tags=["orphaned"])

    def kept() -> bool:
        other.sync.get("a")
        return other.sync.set("a", 1, tags=["orphaned"])

    wait_until(kept)
    assert time.monotonic() - began > 0.5
    assert third.sync.get("a") == 1


def test_under_a_fence_nothing_is_served_anywhere(
    place: Place, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = open_cache(place), open_cache(place)
    # a tag that is new is not relied on until the server is a lease of these old
    wait_until(lambda: one.sync.set("a", 1, tags=["t"]))
    assert other.sync.get("a") == 1
    fence = one.machine.store.fence(["t"])
    for cache in (one, other):
        assert cache.sync.get("a") is None
        assert not cache.sync.set("a", 2, tags=["t"])
    one.machine.store.lift(fence)
    for cache in (one, other):
        assert cache.sync.get("a") is None
    assert other.sync.set("a", 3, tags=["t"])
    assert one.sync.get("a") == 3


def test_threads_may_share_a_cache(
    place: Place, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = open_cache(place), open_cache(place)
    wrong: list[Any] = []
    newest = [0]

    def write() -> None:
        for number in range(1, 40):
            newest[0] = number
            one.sync.invalidate_tags("t")

    def read() -> None:
        for _ in range(60):
            least = newest[0] - 1  # the last one may not have returned yet
            got = other.sync.get_or_set("n", lambda: newest[0], tags=["t"])
            if got < least:
                wrong.append((got, least))

    threads = [threading.Thread(target=read) for _ in range(4)]
    threads.append(threading.Thread(target=write))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []

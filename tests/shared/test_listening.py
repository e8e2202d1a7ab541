"""
Who hears for answers near by: while it isn't answered, and as a thread.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.shared.test_backplane import AGE, Near, by_hand, one, other
from tests.shared.test_near import Process
from yokedcache import YokedCache
from yokedcache.shared import hearing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer
    from yokedcache.shared.hearing import Listener

__all__ = ["by_hand", "one", "other"]

# when it isn't answered


@pytest.fixture
def proxy(server: RedisServer) -> Any:
    with Proxy((server.host, server.port)) as made:
        yield made


class Way:
    """
    A server behind a proxy, where caches share their entries.
    """

    def __init__(self, server: RedisServer, proxy: Proxy) -> None:
        self.server = server
        self.port = proxy.port

    def url(self) -> str:
        return self.server.url(port=self.port)

    def info(self, *sections: str) -> dict[str, str]:
        return self.server.info(*sections)


@pytest.fixture
def behind(by_hand: None, open_cache: Any, server: RedisServer, proxy: Proxy) -> Near:
    way: Any = Way(server, proxy)
    made = Near(open_cache, way, store_timeout=1.0)
    made.cache.sync.clear()
    assert made.poll()
    made()
    return made


def test_who_is_cut_off_answers_for_no_longer_than_that(
    behind: Near, open_cache: Any, server: RedisServer, proxy: Proxy
) -> None:
    other = Process(open_cache, server)
    proxy.refuse()
    proxy.cut()
    vouched = behind.listener.backplane.vouched
    other.cache.sync.invalidate_tags("t")
    assert not behind.poll()
    assert behind.listener.backplane.vouched == vouched
    assert behind() == [1, 1]
    behind.clock.advance(vouched + AGE - behind.clock() + 1)
    assert behind() == [1, 2]
    proxy.restore()
    wait_until(lambda: (behind.clock.advance(1), behind.poll())[1])
    assert behind.listener.backplane.since > vouched
    assert behind() == [1, 3]


def test_who_failed_to_ask_begins_anew(behind: Near, proxy: Proxy) -> None:
    proxy.cut_after(0)
    assert not behind.poll()
    since = behind.listener.backplane.since
    assert not behind.poll()  # so soon after it nothing is relied on
    behind.clock.advance(2)
    assert behind.poll()
    assert behind.listener.backplane.since > since


def test_nothing_is_vouched_for_so_soon_after_an_outage(one: Near) -> None:
    vouched = one.listener.backplane.vouched
    server: Any = one.cache.machine.store.server
    server.distrust()
    assert not one.poll()
    assert one.listener.backplane.vouched == vouched
    one()
    one.clock.advance(2)
    server._doubt.until = 0.0
    assert one.poll()


def test_a_user_who_may_not_follow_has_them_by_age(one: Near) -> None:
    say = one.server.say
    say("ACL", "SETUSER", "default", "-xadd", "-xrange")
    try:
        before = one.cache.stats().store_failures
        assert [one.poll() for _ in range(5)] == [False] * 5
        assert one.cache.stats().store_failures == before + 5
        one.clock.advance(AGE)
        assert one.asks(one) == 1  # the store isn't left alone for that
        assert one.asks(one) == 0
        one.cache.sync.invalidate_tags("t")
        assert one() == [1, 2]
        assert one.cache.stats().owed == 0
    finally:
        say("ACL", "SETUSER", "default", "+xadd", "+xrange")
    assert one.poll()


# the thread


class Awake:
    """
    A process whose listener asks by itself, on a clock that goes.
    """

    def __init__(self, open_cache: Any, server: RedisServer, age: float) -> None:
        near = {"max_staleness": age}
        self.cache: YokedCache = open_cache(server, near=near)
        self.cache.sync.clear()
        self.copy = Process(open_cache, server).copy
        self.copy = type(self.copy)(
            self.cache, "awake", lambda n: [n, len(self.copy.calls)], tags=["t"]
        )
        self.listener: Listener = self.cache.machine.store._listener
        self.copy(1)
        wait_until(lambda: self.cache.stats().near == "heard")


@pytest.fixture
def awake(open_cache: Any, server: RedisServer) -> Callable[[float], Awake]:
    return lambda age: Awake(open_cache, server, age)


def test_a_thread_hears_by_itself(
    awake: Callable[[float], Awake],
    open_cache: Any,
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "LATEST", 0.01)
    one, other = awake(20.0), open_cache(server)
    one.copy(1)
    other.sync.invalidate_tags("t")
    began = time.monotonic()
    wait_until(lambda: one.copy(1) == [1, 2])
    assert time.monotonic() - began < 10


def test_it_rests_while_nothing_is_looked_up_and_begins_again(
    awake: Callable[[float], Awake],
) -> None:
    one = awake(0.1)
    wait_until(lambda: one.listener._thread is None)
    one.copy(1)
    wait_until(lambda: one.cache.stats().near == "heard")
    assert one.listener._thread is not None


def test_it_lives_as_long_as_answers_are_looked_up(
    awake: Callable[[float], Awake],
) -> None:
    one = awake(0.1)
    thread = one.listener._thread
    ends = time.monotonic() + 1.0
    while time.monotonic() < ends:
        one.copy(1)
    assert one.listener._thread is thread


def test_close_waits_for_no_answer(
    server: RedisServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "SOONEST", 0.001)
    url = server.url(port=proxy.port)
    cache = YokedCache(url, near={"max_staleness": 0.004}, store_timeout=20.0)
    store: Any = cache.machine.store
    listener: Listener = store._listener
    listener.wanted()
    wait_until(lambda: listener.backplane.vouched > 0)
    proxy.hold()
    wait_until(listener._polling.locked)
    thread: Any = listener._thread
    began = time.monotonic()
    cache.sync.close()
    assert time.monotonic() - began < 5
    proxy.restore()
    thread.join(20)
    assert not thread.is_alive()
    assert store.server.client._sync is None  # nothing was opened again
    listener.wanted()
    assert listener._thread is thread


def test_what_it_opens_when_all_was_closed_is_closed_again(
    one: Near, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Any = one.cache.machine.store.server

    def polled() -> bool:
        one.cache.sync.close()  # between its look whether that is so, and its question
        return one.poll()

    monkeypatch.setattr(one.listener, "_polled", polled)
    one.listener._run()
    assert server.client._sync is None


def test_what_goes_wrong_in_it_ends_nothing(
    one: Near, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    vouched = one.listener.backplane.vouched
    with monkeypatch.context() as patch:
        patch.setattr(one.listener, "_hear", broken)
        patch.setattr("yokedcache.runtime.log.raise_faults", False)
        assert not one.listener._polled()
    assert one.listener.backplane.vouched == vouched
    assert one.poll()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_follows_for_itself(one: Near, other: Process) -> None:
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            assert one.listener.backplane.since == float("inf")
            assert one.listener._position is None
            assert one() == [1, 1]
            assert one.poll()
            one.clock.advance(AGE)
            one()
            one.outlast()
            assert one.asks(one) == 0
            failed = 0
        finally:
            os._exit(failed)
    assert os.waitpid(child, 0)[1] == 0
    other.cache.sync.invalidate_tags("t")
    one.poll()
    assert one() == [1, 2]

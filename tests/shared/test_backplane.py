"""
Answers near by whose changes are heard: they end early, and last as long as all is heard.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.shared.conftest import look_ups
from tests.shared.test_near import Process
from yokedcache import YokedCache, cached
from yokedcache.shared import hearing
from yokedcache.shared.hearing import Listener
from yokedcache.stores.redis.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer

AGE = 30.0
"""Seconds of staleness that the tests allow; their clocks stand still."""

LOG = Layout("yc").log.decode()


class Near(Process):
    """
    A process with answers near by, whose listener asks when it is told to.
    """

    def __init__(self, open_cache: Any, server: RedisServer, **settings: Any) -> None:
        near = {"near": {"max_staleness": AGE}, **settings}
        super().__init__(open_cache, server, **near)
        self.listener: Listener = self.cache.machine.store._listener
        self.clock.advance(1)

    def poll(self) -> bool:
        """
        Ask what was announced, and let some time pass.
        """
        self.clock.advance(0.25)
        answered = self.listener.poll()
        self.clock.advance(0.25)
        return answered

    def outlast(self) -> None:
        """
        Let the time pass for which an answer is near without being heard of.
        """
        self.clock.advance(0.9 * AGE)
        self.poll()
        self.clock.advance(0.2 * AGE)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Start no listener.
    """
    monkeypatch.setattr(Listener, "_work", lambda _: None)


@pytest.fixture
def one(by_hand: None, open_cache: Any, server: RedisServer) -> Near:
    made = Near(open_cache, server)
    made.cache.sync.clear()
    assert made.poll()
    made()
    return made


@pytest.fixture
def other(one: Near, open_cache: Any, server: RedisServer) -> Process:
    process = Process(open_cache, server)
    process()
    return process


def test_what_another_process_changes_ends_it_once_it_is_heard(
    one: Near, other: Process
) -> None:
    other.cache.sync.invalidate_tags("t")
    assert one.asks(one) == 0  # not heard yet
    assert one() == [1, 1]
    one.poll()
    assert one() == [1, 2]


def test_a_clear_of_another_process_is_heard(one: Near, other: Process) -> None:
    other.cache.sync.clear()
    one.poll()
    assert one() == [1, 2]


def test_what_is_heard_of_other_tags_ends_nothing(one: Near, other: Process) -> None:
    other.cache.sync.invalidate_tags("other")
    one.poll()
    assert one.asks(one) == 0


def test_it_lasts_as_long_as_everything_is_heard(one: Near) -> None:
    for _ in range(5):
        one.outlast()
        assert one.asks(one) == 0
    assert one() == [1, 1]
    one.clock.advance(AGE)  # nobody listens any more
    assert one.asks(one) == 1


async def test_so_it_is_in_an_event_loop(one: Near) -> None:
    one.copy.be_here()
    function = one.copy.afunction
    assert await function(1) == [1, 2]
    before = look_ups(one.server)
    await asyncio.to_thread(one.outlast)
    assert await function(1) == [1, 2]
    assert look_ups(one.server) == before
    one.clock.advance(AGE)
    await function(1)
    assert look_ups(one.server) == before + 1


def test_hits_are_counted_however_they_are_near(one: Near) -> None:
    one.clock.advance(AGE)
    one()  # from now on it is known what to ask
    before = one.cache.stats().total.hits
    for _ in range(3):
        one.outlast()
        one()
        one()
    assert one.cache.stats().total.hits == before + 6


def test_a_ttl_is_kept(by_hand: None, open_cache: Any, server: RedisServer) -> None:
    one = Near(open_cache, server, ttl=1.3 * AGE)
    one.cache.sync.clear()
    one.poll()
    one()
    one.outlast()
    assert one() == [1, 1]
    one.clock.advance(0.3 * AGE)
    assert one.listener.follows
    assert one() == [1, 2]


@pytest.mark.parametrize("change", ["refresh", "invalidate"])
def test_what_another_process_does_to_one_answer_is_seen_within_that_time(
    one: Near, other: Process, change: str
) -> None:
    other.copy.be_here()
    getattr(other.copy.function, change)(1)
    one.poll()
    one.clock.advance(AGE - 0.5)
    one.poll()
    assert one.asks(one) == 1
    assert one() == ([1, 2] if change == "invalidate" else [1, 1])
    assert len(one.copy.calls) == (2 if change == "invalidate" else 1)


def test_a_plain_key_goes_by_its_age(one: Near, other: Process) -> None:
    one.cache.sync.set("k", 1)
    other.cache.sync.set("k", 2)
    one.outlast()
    assert one.cache.sync.get("k") == 2


def test_an_answer_that_is_overtaken_by_what_is_heard_is_not_near(
    one: Near, other: Process
) -> None:
    # hole 18: it is read before the change, and arrives after that was heard
    store: Any = one.cache.machine.store
    ((key, entry),) = [
        (key, entry) for key, entry in store.entries.items() if entry.value == [1, 1]
    ]
    store.discard(entry)
    looking = store.look(key, -1.0, ["t"])
    found = store.server.perform(next(looking))
    one.clock.advance(0.25)
    other.cache.sync.invalidate_tags("t")
    one.poll()
    with pytest.raises(StopIteration) as ended:
        looking.send(found)
    taken = ended.value.value
    assert taken.value == [1, 1]  # its caller began before
    assert taken.plain_until < store._clock()
    assert not store.stays_near(taken)
    assert one() == [1, 2]


def test_what_this_process_changed_itself_is_known_already(one: Near) -> None:
    one.cache.sync.invalidate_tags("t")
    assert one() == [1, 2]
    pulse = one.cache.machine.store.pulse.value
    one.poll()
    assert one.cache.machine.store.pulse.value == pulse
    assert one.asks(one) == 0
    one.outlast()
    assert one.asks(one) == 1  # it was asked before that was heard
    one.outlast()
    assert one.asks(one) == 0


@pytest.mark.parametrize("loss", ["deleted", "trimmed", "flushed", "expired"])
def test_what_may_be_lost_is_begun_anew(one: Near, other: Process, loss: str) -> None:
    other.cache.sync.invalidate_tags("t")
    if loss == "deleted":
        one.server.say("DEL", LOG)
    elif loss == "trimmed":
        other.cache.sync.invalidate_tags("u")
        one.server.say("XTRIM", LOG, "MAXLEN", 1)
    elif loss == "flushed":
        one.server.flush()
    else:
        one.server.say("PEXPIRE", LOG, 1)
        wait_until(lambda: not one.server.say("EXISTS", LOG))
    since = one.listener.backplane.since
    one.poll()
    assert one.listener.backplane.since > since
    one.clock.advance(AGE - 0.25 - 0.001)
    one.poll()
    assert one.asks(one) > 0
    assert one()[1] > 1


def test_it_follows_again_after_that(one: Near, other: Process) -> None:
    one.server.say("DEL", LOG)
    one.poll()
    one.clock.advance(AGE)
    one.poll()
    assert one.asks(one) == 1
    one.outlast()
    assert one.asks(one) == 0
    other.cache.sync.invalidate_tags("t")
    one.poll()
    assert one() == [1, 2]


def test_inside_a_load_that_is_kept_it_is_asked(one: Near, other: Process) -> None:
    one.outlast()
    assert one.asks(one) == 0
    other.cache.sync.invalidate_tags("t")

    @cached(cache=one.cache)
    def outer() -> Any:
        return one()

    assert outer() == [1, 2]


def test_after_a_lock_or_a_write_it_is_asked(one: Near) -> None:
    store = one.cache.machine.store
    one.outlast()
    store.watch()
    assert one.asks(one) == 1
    one.outlast()
    assert one.asks(one) == 1
    store.unwatch()
    assert one.asks(one) == 0


def test_statistics_tell_by_what_it_ends(one: Near, other: Process) -> None:
    assert one.cache.stats().near == "heard"
    assert other.cache.stats().near == ""
    one.clock.advance(AGE)
    assert one.cache.stats().near == "age"
    assert YokedCache().stats().near == ""


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

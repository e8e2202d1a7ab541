"""
Answers near by whose changes are heard: they end early, and last as long as all is heard.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.shared.conftest import look_ups
from tests.shared.test_near import Process
from yokedcache import YokedCache, cached
from yokedcache.shared.hearing import Listener
from yokedcache.stores.redis.layout import Layout

if TYPE_CHECKING:
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


def test_hole_18_an_answer_that_is_overtaken_by_what_is_heard_is_not_near(
    one: Near, other: Process
) -> None:
    # it is read before the change, and arrives after that was heard
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
    in_memory = YokedCache()
    assert in_memory.stats().near == ""
    in_memory.sync.close()

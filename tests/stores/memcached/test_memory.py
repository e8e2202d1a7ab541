"""
What a process makes of what a server says of its memory and its clock.
"""

from __future__ import annotations

import pytest

from tests.services import MemcachedServer
from yokedcache.stores.memcached.memory import PROMPT, RELIED, Memory

LEASE = 90_000


@pytest.fixture(scope="module")
def told() -> dict[bytes, object]:
    """
    Give what a real server says of itself, as if it had run for a while.
    """
    with MemcachedServer.running() as server:
        return {**server.say("stats"), b"time": 5000, b"uptime": 1000}


# what was lost


def test_one_that_has_lost_nothing_is_as_sure_as_it_is_old(
    told: dict[bytes, object],
) -> None:
    memory = Memory()
    memory.observe({**told, b"uptime": 100}, 1000.0, 1000.0)
    assert not memory.is_young(b"origin", LEASE, 1000.0)
    assert memory.is_young(b"origin", 100_000, 1000.0)


def test_what_was_lost_is_in_doubt_for_a_lease(told: dict[bytes, object]) -> None:
    memory = Memory()
    memory.observe(told, 1000.0, 1000.0)
    assert not memory.is_young(b"origin", LEASE, 1000.0)
    memory.observe({**told, b"evictions": 1}, 1001.0, 1001.0)
    assert memory.is_young(b"origin", LEASE, 1090.0)
    assert not memory.is_young(b"origin", LEASE, 1092.0)
    assert memory.is_young(b"another", LEASE, 1092.0)
    # restarted
    memory.observe({**told, b"uptime": 1, b"evictions": 1}, 1200.0, 1200.0)
    assert memory.is_young(b"another", LEASE, 1201.0)


def test_one_that_has_ever_lost_something_is_in_doubt_when_it_is_met(
    told: dict[bytes, object],
) -> None:
    memory = Memory()
    memory.observe({**told, b"evictions": 1}, 1000.0, 1000.0)
    assert memory.is_young(b"origin", LEASE, 1001.0)
    assert memory.is_young(b"origin", LEASE, 1090.0)
    assert not memory.is_young(b"origin", LEASE, 1092.0)


def test_what_was_told_before_a_loss_and_is_noted_after_it_ends_no_doubt(
    told: dict[bytes, object],
) -> None:
    memory = Memory()
    memory.observe(told, 1000.0, 1000.0)
    memory.is_young(b"origin", LEASE, 1000.0)
    # one thread was told at 1000, and another at 1100: the first has waited meanwhile
    memory.observe({**told, b"evictions": 1}, 1100.0, 1100.0)
    memory.observe(told, 1000.5, 1000.5)
    assert memory.is_young(b"origin", LEASE, 1101.0)
    # the same where it was the counter that was lost
    memory.is_young(b"another", LEASE, 1200.0)
    memory.is_young(b"origin", LEASE, 1100.5)
    assert memory.is_young(b"origin", LEASE, 1201.0)


def test_what_was_lost_while_a_page_is_moved_is_not_counted_yet(
    told: dict[bytes, object],
) -> None:
    assert told[b"slab_reassign_running"] is False
    memory = Memory()
    memory.observe({**told, b"slab_reassign_running": True}, 1000.0, 1000.0)
    assert memory.is_young(b"origin", LEASE, 1089.0)
    memory.observe(told, 1091.0, 1091.0)
    assert not memory.is_young(b"origin", LEASE, 1091.0)
    memory.observe({**told, b"slab_reassign_running": True}, 1092.0, 1092.0)
    assert memory.is_young(b"origin", LEASE, 1093.0)


# what time it is


def test_a_clock_goes_on_until_it_has_to_be_asked_for(
    told: dict[bytes, object],
) -> None:
    memory = Memory()
    assert memory.time(1000.0) is None
    memory.observe(told, 1000.0, 1000.1)
    assert memory.time(1003.0) == 5_003_000
    assert memory.time(1001.0 + RELIED) is None


def test_who_took_long_to_tell_the_time_has_not_told_it(
    told: dict[bytes, object],
) -> None:
    memory = Memory()
    memory.observe(told, 1000.0, 1000.1 + PROMPT)
    assert memory.time(1002.0) is None
    memory.observe(told, 1002.0, 1002.0)
    memory.observe({**told, b"time": 9000, b"uptime": 5000}, 1003.0, 1033.0)
    assert memory.time(1004.0) == 5_002_000


def test_a_server_that_has_hung_and_not_looked_at_its_clock_yet_is_asked_again(
    told: dict[bytes, object],
) -> None:
    memory = Memory()
    memory.observe(told, 1000.0, 1000.0)
    memory.observe({**told, b"time": 5001, b"uptime": 1001}, 1030.0, 1030.0)
    assert memory.time(1030.0) is None
    memory.observe({**told, b"time": 5030, b"uptime": 1030}, 1030.1, 1030.1)
    assert memory.time(1031.1) == 5_031_000
    # what it says twice is so: clocks differ a little, and it was long ago
    memory.observe({**told, b"time": 8000, b"uptime": 4000}, 5030.1, 5030.1)
    memory.observe({**told, b"time": 8000, b"uptime": 4000}, 5030.2, 5030.2)
    assert memory.time(5030.2) == 8_000_000
    # and another life has another clock
    memory.observe({**told, b"time": 4000, b"uptime": 1}, 5031.2, 5031.2)
    assert memory.time(5031.2) == 4_000_000

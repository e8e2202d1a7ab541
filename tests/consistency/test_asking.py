"""
Answers near by are told from those that a store was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consistency.acts import LookUps
from consistency.asking import count_look_ups
from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from tests.services.redis import RedisServer


def test_look_ups_are_counted_and_answers_near_by_are_none(
    redis_server: RedisServer,
) -> None:
    near = {"max_staleness": 60}
    cache = YokedCache(redis_server.url(), near=near, lease=0.1)
    look_ups = LookUps()
    count_look_ups(cache, look_ups)

    @cached(cache=cache)
    def one() -> int:
        return 1

    assert look_ups.count == 0
    while not cache.stats().entries:  # for a lease nothing is kept
        one()
    before = look_ups.count
    assert before
    assert not look_ups.none_since(0)
    for _ in range(5):
        one()
    # it is asked about once before it is given out
    asked = look_ups.count
    assert asked is not None
    assert asked - before <= 1
    for _ in range(5):
        one()
    assert look_ups.none_since(asked)
    cache.sync.close()


def test_without_them_nothing_is_counted(redis_server: RedisServer) -> None:
    look_ups, cache = LookUps(), YokedCache(redis_server.url())
    count_look_ups(cache, look_ups)
    assert look_ups.count is None
    assert not look_ups.none_since(None)
    cache.sync.close()

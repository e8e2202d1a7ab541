"""
What holds of claims and of the short way on one server holds in a Cluster.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.shared.functions import Copy
from tests.shared.test_functions_in_a_cluster import caches, cluster
from tests.shared.test_one_load_for_all import (
    claimed_key,
    pool,
    test_a_store_that_fails_claims_nothing,
    test_nobody_waits_for_more_than_two,
    test_tasks_wait_without_holding_up_their_loop,
    test_the_other_process_waits_for_the_one_that_loads,
)
from tests.shared.test_short_way import (
    asked,
    face,
    test_a_dropped_answer_is_gone,
    test_a_known_answer_is_one_question,
    test_a_new_answer_under_the_key_is_seen,
    test_a_store_that_fails_is_asked_once,
    test_a_tag_ends_it,
    test_a_ttl_ends_it,
    test_inside_another_cached_function_the_long_way_is_gone,
    test_what_happens_meanwhile_in_this_process_counts,
)

if TYPE_CHECKING:
    from tests.services.redis import RedisCluster
    from yokedcache import YokedCache

__all__ = [
    "asked",
    "caches",
    "cluster",
    "face",
    "pool",
    "test_a_dropped_answer_is_gone",
    "test_a_known_answer_is_one_question",
    "test_a_new_answer_under_the_key_is_seen",
    "test_a_store_that_fails_claims_nothing",
    "test_a_store_that_fails_is_asked_once",
    "test_a_tag_ends_it",
    "test_a_ttl_ends_it",
    "test_inside_another_cached_function_the_long_way_is_gone",
    "test_nobody_waits_for_more_than_two",
    "test_tasks_wait_without_holding_up_their_loop",
    "test_the_other_process_waits_for_the_one_that_loads",
    "test_what_happens_meanwhile_in_this_process_counts",
]

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("may_block")]


def claims(cluster: RedisCluster) -> set[str]:
    return {key for node in cluster.primaries for key in node.say("KEYS", "yc:f:*")}


def test_a_claim_is_given_up(
    cluster: RedisCluster, caches: tuple[YokedCache, YokedCache]
) -> None:
    seen: list[set[str]] = []
    copy = Copy(caches[0], "claimed", lambda n: seen.append(claims(cluster)) or n)
    key = claimed_key(caches[0], copy)
    assert copy(1) == 1
    assert [key in found for found in seen] == [True]
    assert key not in claims(cluster)


def test_who_died_is_waited_for_no_longer_than_its_claim(
    cluster: RedisCluster, caches: tuple[YokedCache, YokedCache]
) -> None:
    copy = Copy(caches[0], "died", lambda n: n)
    key = claimed_key(caches[0], copy)
    cluster.owner(key).say("SET", key, "dead", "PX", 150)
    began = time.monotonic()
    assert copy(1) == 1
    assert time.monotonic() - began > 0.1
    assert copy.calls == [1]

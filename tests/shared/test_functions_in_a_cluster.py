"""
What holds of functions and keys on one server holds in a Cluster: the same tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.redis import RedisCluster
from tests.shared.test_functions_are_shared import (
    test_a_kept_exception_is_raised_everywhere,
    test_a_refresh_is_seen_by_everyone,
    test_a_result_names_tags_that_nobody_knew_before,
    test_a_single_answer_is_dropped_everywhere,
    test_a_tag_ends_it_in_every_process,
    test_a_tag_of_a_result_that_is_invalidated_while_it_loads,
    test_a_tag_that_is_invalidated_while_it_loads,
    test_an_answer_is_served_to_no_one_who_began_later,
    test_concurrent_callers_load_once,
    test_each_caller_has_its_own,
    test_hole_02_a_waiter_sees_what_was_committed_before_it_began,
    test_more_tags_than_can_be_asked_for_are_not_kept,
    test_stale_answers_are_shared_and_renewed,
)
from tests.shared.test_keys_are_shared import (
    test_a_table_is_invalidated_by_who_never_met_its_database,
    test_a_tag_is_invalidated_for_everyone,
    test_a_time_to_live_ends_for_everyone,
    test_a_value_is_found_by_others_and_is_their_own,
    test_the_async_face_shares,
    test_what_one_deletes_is_gone_for_others,
    test_what_one_writes_over_is_new_for_others,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache import YokedCache

__all__ = [
    "test_a_kept_exception_is_raised_everywhere",
    "test_a_refresh_is_seen_by_everyone",
    "test_a_result_names_tags_that_nobody_knew_before",
    "test_a_single_answer_is_dropped_everywhere",
    "test_a_table_is_invalidated_by_who_never_met_its_database",
    "test_a_tag_ends_it_in_every_process",
    "test_a_tag_is_invalidated_for_everyone",
    "test_a_tag_of_a_result_that_is_invalidated_while_it_loads",
    "test_a_tag_that_is_invalidated_while_it_loads",
    "test_a_time_to_live_ends_for_everyone",
    "test_a_value_is_found_by_others_and_is_their_own",
    "test_an_answer_is_served_to_no_one_who_began_later",
    "test_concurrent_callers_load_once",
    "test_each_caller_has_its_own",
    "test_hole_02_a_waiter_sees_what_was_committed_before_it_began",
    "test_more_tags_than_can_be_asked_for_are_not_kept",
    "test_stale_answers_are_shared_and_renewed",
    "test_the_async_face_shares",
    "test_what_one_deletes_is_gone_for_others",
    "test_what_one_writes_over_is_new_for_others",
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster.running() as running:
        yield running


@pytest.fixture
def caches(
    cluster: RedisCluster, open_cache: Callable[..., YokedCache]
) -> tuple[YokedCache, YokedCache]:
    """
    Give two caches with nothing in them.
    """
    one, other = open_cache(cluster), open_cache(cluster)
    one.sync.clear()
    return one, other

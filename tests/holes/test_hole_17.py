"""
Hole 17: what a promoted server, or one that came back, has of before is never served.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.holes.members import Member, environment, hire, run_directory
from tests.services.processes import wait_until
from tests.services.redis import GROUPED, RedisKind, SentinelGroup
from tests.services.redis.groups import attach
from tests.support.databases import blog_at
from tests.support.ledger import Ledger, is_hit
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.postgres import PostgresDatabase
    from tests.services.redis import ReplicaPair

__all__ = ["environment", "hire", "run_directory"]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_hole_17_a_commit_that_was_lost_in_a_failover_and_back(
    postgres_database: PostgresDatabase,
    redis_pair: ReplicaPair,
    hire: Callable[..., Member],
) -> None:
    first, second = redis_pair.primary, redis_pair.replica
    url = postgres_database.url("psycopg")
    with blog_at(url):
        writer, reader = (hire(url, first.url(), lease=6.0) for _ in range(2))
        assert [writer.do("settle"), reader.do("settle")] == ["ann", "ann"]
        assert reader.do("served") == "ann"
        redis_pair.caught_up()
        run = first.info("server")["run_id"]
        # the second is promoted, and the first goes on with who hasn't heard of it
        second.say("REPLICAOF", "NO", "ONE")
        writer.do("commit", "new")
        # the first takes over what the second has, and comes back
        attach(first, second)
        first.say("REPLICAOF", "NO", "ONE")
        assert first.info("server")["run_id"] == run
        assert first.say("KEYS", "yc:e*")
        late = hire(url, first.url(), lease=6.0)
        for member in (reader, late, writer):
            assert member.do("ask") == ["new"] * 3
        late.do("settle")
        for member in (reader, late, writer):
            assert member.do("served") == "new"


@pytest.fixture
def open_cache() -> Iterator[Callable[..., YokedCache]]:
    with contextlib.ExitStack() as stack:

        def opened(url: str) -> YokedCache:
            cache = YokedCache(
                url, store_timeout=0.5, lease=6.0, jitter=0, on_unreachable="refuse"
            )
            stack.callback(cache.sync.close)
            return cache

        yield opened


@pytest.mark.night
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", GROUPED, ids=lambda kind: kind.name)
def test_hole_17_sentinels_fail_over_and_back(
    kind: RedisKind, open_cache: Callable[..., YokedCache]
) -> None:
    """
    The old server rejoins, follows, and is the primary again without a restart.
    """
    with SentinelGroup.running(kind) as group:
        one, other = open_cache(group.url()), open_cache(group.url())
        busy, quiet = Ledger(("a",)), Ledger(("b",))
        for ledger in (busy, quiet):
            tag = ledger.tags[0]
            wait_until(lambda: is_hit(other, lambda: ledger.read(other, tag)))  # noqa: B023
        first = group.primary()
        run = first.info("server")["run_id"]
        with busy.busy(one, other):
            with first.suspended():
                second = group.fail_over(first)
            group.take_back(first)
            before = busy.returned
            wait_until(lambda: busy.returned > before + 3)
            # the first misses a commit that the second has acknowledged, and then is it
            with first.suspended():
                second.say("CLIENT", "KILL", "TYPE", "REPLICA")
                quiet.write(one)
                second.kill()
            assert quiet.returned == 1
            assert group.fail_over(second) is first
            assert first.info("server")["run_id"] == run
            before = busy.returned
            wait_until(lambda: busy.returned > before + 3)
            quiet.read(other, "b")
        wait_until(lambda: is_hit(other, lambda: quiet.read(other, "b")))
        assert busy.wrong == quiet.wrong == []

"""
Section `shared_tags`: what invalidating a tag costs in Redis, by how much hangs on it.

By `cache.invalidate_tags`, as applications do it, and by what that asks the server alone:
what the library does besides is the same for both tags, and would bring them together.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from environments import PROJECT
from measure import PASSED, Effort, Line, Run, compare, contest, repeat
from redis_reads import LIFE, a_while, made_commands, settle
from tags import BAR, FEW, MANY, MANY_QUICK

from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Invalidation of a tag, over Redis"

AT_ONCE = 500
"""Entries that are sent in one go."""


def measure(effort: Effort) -> Iterator[Line]:
    """
    Bump a tag that little hangs on and one that much hangs on, in turns.
    """
    many = MANY_QUICK if effort.quick else MANY
    sys.path.append(str(PROJECT))  # the servers of the tests, as there
    services: Any = importlib.import_module("tests.services.redis")
    sync = importlib.import_module("yokedcache.stores.redis.sync")
    with (
        services.RedisServer.running() as server,
        sync.connect(server.url()) as client,
        closing(YokedCache(server.url(), announce_timeout=5.0).sync) as cache,
    ):
        store, commands = sync.RedisStore(client, limit=5.0), made_commands()
        settle(server, commands, store)
        for tag, count in (("few", FEW), ("many", many)):
            _fill(store, commands, tag, count)

        def invalidates(tag: str) -> Run:
            return repeat(lambda: cache.invalidate_tags(tag), PASSED)

        def bumps(tag: str) -> Run:
            return repeat(lambda: store.perform(commands.bump([tag])), PASSED)

        _check(cache, store, commands)
        contenders = {
            **{tag: invalidates(tag) for tag in ("few", "many")},
            **{f"{tag} asked": bumps(tag) for tag in ("few", "many")},
        }
        times = contest(contenders, effort)
        for tag in ("few", "many"):
            if hasattr(store.perform(commands.read(f"{tag} 0", [tag])), "payload"):
                raise AssertionError(f"an entry outlived its tag {tag}")
    yield compare(times, f"invalidate_tags, {many:,} entries", "many", "few", BAR)
    yield compare(times, "the server asked alone", "many asked", "few asked", BAR)


def _check(cache: Any, store: Any, commands: Any) -> None:
    """
    See that the cache's tags are those that are filled.
    """
    before = store.perform(commands.stamp(["few"])).states[0].version
    cache.invalidate_tags("few")
    if store.perform(commands.stamp(["few"])).states[0].version == before:
        raise AssertionError("the cache has another tag")


def _fill(store: Any, commands: Any, tag: str, count: int) -> None:
    stamp, times = store.perform(commands.stamp([tag], keep=LIFE)), a_while()
    for start in range(0, count, AT_ONCE):
        told = [
            commands.store(f"{tag} {one}", b"value", stamp, times, life=LIFE)
            for one in range(start, min(start + AT_ONCE, count))
        ]
        refused = [why for why in store.perform_all(told, 5.0) if why is not None]
        if refused:
            raise AssertionError(f"not stored: {refused[0]}")

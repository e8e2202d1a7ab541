"""
What is logged of a store that fails: a line for each outage, and what to do about it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from yokedcache import YokedCache
from yokedcache.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer

WITHOUT = ("rename-command EVAL", "rename-command EVALSHA")


@pytest.fixture
def opened() -> Iterator[Callable[..., YokedCache]]:
    with contextlib.ExitStack() as stack:

        def make(server: RedisServer, **settings: Any) -> YokedCache:
            given = {"lease": 0.2, "jitter": 0.0, "store_timeout": 10.0, **settings}
            cache = YokedCache(server.url(), **given)
            stack.callback(cache.sync.close)
            return cache

        yield make


def lines(said: pytest.LogCaptureFixture) -> list[str]:
    """
    Give what was logged of the store, commits apart, and forget it.
    """
    warned = [one for one in said.records if one.levelno >= logging.WARNING]
    texts = [one.getMessage() for one in warned]
    said.clear()
    return [one for one in texts if "told of a change" not in one]


def asks(cache: YokedCache, loop: bool) -> None:
    async def ask() -> None:
        for _ in range(4):
            await cache.get("a")
            await cache.set("b", 1)
            await cache.invalidate_tags("t")

    if loop:
        asyncio.run(ask())
        return
    for _ in range(4):
        cache.sync.get("a")
        cache.sync.set("b", 1)
        cache.sync.invalidate_tags("t")


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_each_outage_is_said_once_and_its_end(
    *,
    redis_server: RedisServer,
    opened: Any,
    said: pytest.LogCaptureFixture,
    loop: bool,
) -> None:
    cache = opened(redis_server, announce_timeout=0.2)
    wait_until(lambda: cache.sync.set("a", 1))
    lines(said)
    begins = ["a shared store failed: ", *2 * ["a shared store fails again and again"]]
    for begin in begins:
        redis_server.kill()
        asks(cache, loop)
        (one,) = lines(said)
        assert one.startswith(begin)
        assert "can't be reached to" in one
        redis_server.restart()
        wait_until(lambda: cache.sync.set("a", 1))
        assert [one for one in lines(said) if "lost" not in one] == [
            "the shared store answers again"
        ]


def commands(server: RedisServer) -> int:
    return int(server.info("stats")["total_commands_processed"])


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_a_server_without_scripts_is_said_once_and_left_alone(
    *,
    make_redis: Callable[..., RedisServer],
    opened: Any,
    said: pytest.LogCaptureFixture,
    loop: bool,
) -> None:
    server = make_redis(options=dict.fromkeys(WITHOUT, '""'))
    cache = opened(server, announce_timeout=30.0)
    before = commands(server)
    for _ in range(5):
        asks(cache, loop)
    (one,) = lines(said)
    assert "unknown command" in one
    assert "that runs EVAL and EVALSHA" in one
    assert cache.stats().store == "left_alone"
    # but for the changes, which others may have to be told
    assert commands(server) - before < 100


def test_a_full_memory_of_lines_forgets_the_oldest(
    said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_MOST", 2)
    told = [log.once("topic", subject, "%s", subject) for subject in "abca"]
    assert told == [True] * 4
    assert not log.once("topic", "c", "c")
    assert said.messages == list("abca")

"""
What one process stores another one finds, by the methods of the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer
    from tests.shared.conftest import Place
    from yokedcache import YokedCache

Caches = "tuple[YokedCache, YokedCache]"


def test_a_value_is_found_by_others_and_is_their_own(caches: Caches) -> None:
    one, other = caches
    assert one.sync.set("a", {"x": [1, 2]})
    found = other.sync.get("a")
    assert found == {"x": [1, 2]}
    found["x"].append(3)
    assert other.sync.get("a") == one.sync.get("a") == {"x": [1, 2]}
    assert other.sync.get_many(["a", "b"]) == {"a": {"x": [1, 2]}}
    assert other.sync.exists("a")
    assert not other.sync.exists("b")
    assert other.sync.get("b", "nothing") == "nothing"


async def test_the_async_face_shares(caches: Caches) -> None:
    one, other = caches
    assert await one.set_many({"a": 1, "b": None}, tags=["t"]) == 2
    assert await other.get_many(["a", "b", "c"]) == {"a": 1, "b": None}
    await other.invalidate_tags("t")
    assert await one.get("a") is None
    assert await one.delete("b") is False
    assert await one.set("b", 2)
    assert await other.expire("b", 60)
    assert await one.get("b") == 2
    assert await other.delete("b")
    assert not await one.exists("b")
    await other.close()
    await one.close()


def test_what_one_writes_over_is_new_for_others(caches: Caches) -> None:
    one, other = caches
    for number in range(5):
        assert one.sync.set("a", number)
        assert other.sync.get("a") == number
        assert other.sync.set("a", -number)
        assert one.sync.get("a") == -number


def test_what_one_deletes_is_gone_for_others(caches: Caches) -> None:
    one, other = caches
    assert one.sync.set("a", 1)
    assert other.sync.get("a") == 1
    assert one.sync.delete("a")
    assert other.sync.get("a") is None
    assert not other.sync.delete("a")


@pytest.mark.parametrize("tags", [["t"], ["t", "u"], ["u", "v", "w", "t"]])
def test_a_tag_is_invalidated_for_everyone(caches: Caches, tags: list[str]) -> None:
    one, other = caches
    for cache in caches:
        assert cache.sync.set("a", 1, tags=tags)
        assert cache.sync.set("b", 2)
        assert one.sync.get("a") == other.sync.get("a") == 1
        other.sync.invalidate_tags("t")
        assert one.sync.get("a") is None
        assert other.sync.get("a") is None
        assert one.sync.get("b") == other.sync.get("b") == 2


def test_a_prefix_is_invalidated_for_everyone(
    place: Place, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = (open_cache(place, prefixes=["user"]) for _ in range(2))
    assert one.sync.set("user:1", 1)
    assert one.sync.set("post:1", 2)
    assert other.sync.get("user:1") == 1
    other.sync.invalidate_prefix("user")
    assert one.sync.get("user:1") is None
    assert one.sync.get("post:1") == 2


def test_clear_drops_what_is_ours_and_nothing_else(
    server: RedisServer, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = (open_cache(server, prefix="ours") for _ in range(2))
    stranger = open_cache(server, prefix="theirs")
    server.say("SET", "somebodys", "value")
    assert one.sync.set("a", 1)
    assert stranger.sync.get("a") is None
    assert stranger.sync.set("a", 3)
    other.sync.clear()
    assert one.sync.get("a") is None
    assert one.sync.set("a", 2)
    assert other.sync.get("a") == 2
    assert stranger.sync.get("a") == 3
    assert server.say("GET", "somebodys") == "value"


def test_a_time_to_live_ends_for_everyone(caches: Caches) -> None:
    one, other = caches
    assert one.sync.set("a", 1, ttl=0.3)
    assert one.sync.set("b", 1, ttl=60)
    assert one.sync.set("c", 1, ttl=600)
    wait_until(lambda: other.sync.get("a") is None)
    assert one.sync.get("a") is None
    assert other.sync.expire("b", 0.05)
    wait_until(lambda: one.sync.get("b") is None)
    assert other.sync.get("b") is None
    assert one.sync.get("c") == other.sync.get("c") == 1


def test_a_table_is_invalidated_by_who_never_met_its_database(caches: Caches) -> None:
    one, other = caches
    assert one.sync.set("a", 1, tags=["table:users@pg:1:2"])
    other.sync.invalidate_tags("table:users")
    assert one.sync.get("a") is None
    assert one.sync.set("a", 1, tags=["database:pg:1:2"])
    other.sync.invalidate_database()
    assert one.sync.get("a") is None


def test_an_answer_that_others_cannot_read_is_a_miss(
    server: RedisServer, redis_caches: Caches
) -> None:
    one, other = redis_caches
    assert one.sync.set("a", 1)
    (key,) = [k for k in server.say("KEYS", "yc:e:*") if _says(server, k, one)]
    whole = _bytes(server, key)
    for broken in (whole[:-1], whole + b"x", b"", b"foreign", b"\0" * len(whole)):
        _put(server, key, broken)
        assert other.sync.get("a") is None
        assert one.sync.get("a") is None
    assert one.sync.set("a", 2)
    assert other.sync.get("a") == 2


def test_two_processes_of_other_code_count_what_they_cannot_read(
    caches: Caches,
) -> None:
    one, other = caches
    assert one.sync.set("a", 1)
    from yokedcache.shared import payloads

    real = payloads.load
    payloads.load = lambda data: ["a form of the future", [], 0, 0, 0, None]
    try:
        assert other.sync.get("a") is None
    finally:
        payloads.load = real
    assert other.stats().unreadable == 1
    assert other.sync.get("a") == 1


def test_nothing_is_left_behind_but_entries_and_their_tags(
    server: RedisServer, redis_caches: Caches
) -> None:
    one, _ = redis_caches
    before = set(server.say("KEYS", "*"))
    for number in range(20):
        one.sync.invalidate_tags(f"nobody:{number}")
    assert set(server.say("KEYS", "*")) == before


def _says(server: RedisServer, key: str, cache: YokedCache) -> bool:
    from yokedcache.shared.keys import shared_key

    raw = shared_key(("keys", "a"))
    return cache.machine.store.server.commands.layout.entry(raw or b"").decode() == key


def _bytes(server: RedisServer, key: str) -> bytes:
    with server.client() as client:
        return bytes(client.get(key))


def _put(server: RedisServer, key: str, data: bytes) -> None:
    with server.client() as client:
        client.set(key, data)

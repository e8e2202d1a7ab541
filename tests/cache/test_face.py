"""
`YokedCache` and `cache.sync`: the same methods, awaited or not.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import YokedCache, cached
from yokedcache.errors import ClosedError, DurationError, SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.testing import FakeClock

PLAIN = {"attach", "detach", "explain", "stats"}


class Face:
    """
    Either face of a cache, asked in the same words.
    """

    def __init__(self, cache: YokedCache, *, blocking: bool) -> None:
        self._target: Any = cache.sync if blocking else cache
        self.blocking = blocking

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)

        async def ask(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            assert inspect.isawaitable(answer) is not self.blocking
            return answer if self.blocking else await answer

        return ask


@pytest.fixture(params=["async", "blocking"])
def face(request: pytest.FixtureRequest, clocked: YokedCache) -> Face:
    return Face(clocked, blocking=request.param == "blocking")


def test_both_faces_have_the_same_methods() -> None:
    def public(of: object) -> set[str]:
        return {
            name
            for name, _ in inspect.getmembers(of, inspect.isfunction)
            if not name.startswith("_")
        }

    from yokedcache.sync import SyncCache

    of_databases = {"attach", "detach", "touches", "wrote"}
    assert public(YokedCache) - of_databases == public(SyncCache)
    for name in public(SyncCache):
        own = inspect.iscoroutinefunction(getattr(YokedCache, name))
        assert own is (name not in PLAIN)


async def test_get_and_set(face: Face) -> None:
    assert await face.get("key") is None
    assert await face.get("key", "default") == "default"
    assert await face.set("key", {"a": 1}) is True
    assert await face.get("key") == {"a": 1}
    assert await face.set("key", 2) is True
    assert await face.get("key") == 2


async def test_get_many_and_set_many(face: Face) -> None:
    assert await face.set_many({"a": 1, "b": None}, ttl=5, tags=["t"]) == 2
    assert await face.get_many(["a", "b", "c"]) == {"a": 1, "b": None}
    await face.invalidate_tags(["t"])
    assert await face.get_many(["a", "b"]) == {}


async def test_delete_and_exists(face: Face) -> None:
    await face.set("key", 1)
    assert await face.exists("key") is True
    assert await face.delete("key") is True
    assert await face.delete("key") is False
    assert await face.exists("key") is False


async def test_what_expired_is_gone(face: Face, clock: FakeClock) -> None:
    await face.set("default", 1)
    await face.set("short", 1, ttl="10s")
    clock.advance("9s")
    assert await face.get("short") == 1
    clock.advance("1s")
    assert await face.get("short") is None
    assert await face.exists("short") is False
    assert await face.delete("short") is False
    clock.advance(289)
    assert await face.get("default") == 1
    clock.advance(1)
    assert await face.get("default") is None


async def test_expire(face: Face, clock: FakeClock) -> None:
    await face.set("key", 1, ttl=10)
    clock.advance(5)
    assert await face.expire("key", 20) is True
    clock.advance(19)
    assert await face.get("key") == 1
    clock.advance(1)
    assert await face.get("key") is None
    assert await face.expire("key", 20) is False
    with pytest.raises(DurationError):
        await face.expire("key", -1)


@pytest.mark.parametrize("name", ["get_or_set", "fetch_or_set"])
async def test_get_or_set(face: Face, clock: FakeClock, name: str) -> None:
    runs: list[int] = []

    def load() -> list[int]:
        runs.append(1)
        return [len(runs)]

    ask = getattr(face, name)
    assert await ask("key", load, ttl=10, tags=["t"]) == [1]
    assert await ask("key", load) == [1]
    assert await face.get("key") == [1]
    await face.invalidate_tags(["t"])
    assert await ask("key", load, ttl=10) == [2]
    clock.advance(10)
    assert await ask("key", load) == [3]


async def test_get_or_set_with_an_async_loader(clocked: YokedCache) -> None:
    async def load() -> int:
        await asyncio.sleep(0)
        return 1

    assert await clocked.get_or_set("key", load) == 1
    assert clocked.sync.get("key") == 1
    with pytest.raises(UsageError, match="async loader"):
        clocked.sync.get_or_set("other", load)


async def test_get_or_set_hands_on_what_the_loader_raises(face: Face) -> None:
    def fail() -> int:
        raise LookupError("no")

    for _ in range(2):
        with pytest.raises(LookupError, match="no"):
            await face.get_or_set("key", fail)
    assert await face.exists("key") is False


async def test_invalidate_tags(face: Face) -> None:
    await face.set("a", 1, tags=["one", "both"])
    await face.set("b", 2, tags=["two", "both"])
    await face.invalidate_tags("one")
    assert await face.get_many(["a", "b"]) == {"b": 2}
    await face.invalidate_tags(["nothing", "has", "these"])
    assert await face.get_many(["a", "b"]) == {"b": 2}
    await face.set("a", 1, tags=["one", "both"])
    await face.invalidate_tags(["both"])
    assert await face.get_many(["a", "b"]) == {}


async def test_invalidate_prefix(clock: FakeClock) -> None:
    cache = YokedCache(prefixes=["user", "shop:item"], clock=clock)
    await cache.set_many({"user": 1, "user:1": 1, "users:1": 1, "shop:item:1": 1})

    @cached(cache=cache, key="user:{number}:name")
    def name(number: int) -> int:
        return next(runs)

    runs = iter(range(10))
    assert [name(1), name(1)] == [0, 0]
    await cache.invalidate_prefix("user")
    assert await cache.get_many(["user", "user:1", "users:1"]) == {"users:1": 1}
    assert name(1) == 1
    cache.sync.invalidate_prefix("shop:item:")
    assert not await cache.exists("shop:item:1")
    with pytest.raises(SettingsError, match="not declared"):
        await cache.invalidate_prefix("users")
    await cache.close()


def test_a_key_lies_under_prefixes_and_nothing_else_does() -> None:
    with YokedCache(prefixes=["page", "function"]) as sync:
        ran: list[str] = []

        @cached(key="page:{number}")
        def page(number: int) -> None:
            ran.append(f"page {number}")

        @cached
        def bare() -> None:
            ran.append("bare")

        @cached
        def named(name: str) -> None:
            ran.append(name)

        def again() -> list[str]:
            ran.clear()
            page(1), bare(), named("page:1"), named("key")
            return [*ran]

        assert again() == ["page 1", "bare", "page:1", "key"]
        sync.invalidate_prefix("function")
        assert again() == []
        sync.invalidate_prefix("page")
        assert again() == ["page 1"]


async def test_invalidate_database_leaves_the_rest(face: Face) -> None:
    await face.set("key", 1, tags=["database:x"])
    await face.set("other", 2)
    await face.invalidate_database()
    assert await face.get_many(["key", "other"]) == {"other": 2}


async def test_clear(face: Face, clocked: YokedCache) -> None:
    await face.set_many({"a": 1, "b": 2})
    await face.clear()
    assert await face.get_many(["a", "b"]) == {}
    assert (clocked.stats().entries, clocked.stats().bytes) == (0, 0)
    await face.set("a", 3)
    assert await face.get("a") == 3


async def test_close(face: Face, clocked: YokedCache) -> None:
    @cached(cache=clocked)
    def load() -> int:
        runs.append(1)
        return 1

    runs: list[int] = []
    load()
    await face.set("key", 1)
    await face.close()
    await face.close()
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("get", ("key",)),
        ("set", ("key", 1)),
        ("get_many", (["key"],)),
        ("set_many", ({"key": 1},)),
        ("delete", ("key",)),
        ("exists", ("key",)),
        ("expire", ("key", 1)),
        ("get_or_set", ("key", int)),
        ("invalidate_tags", ("tag",)),
        ("invalidate_database", ()),
        ("clear", ()),
    ]
    for name, args in calls:
        with pytest.raises(ClosedError):
            await getattr(face, name)(*args)
    assert [load(), load(), len(runs)] == [1, 1, 3]


async def test_context_managers_close() -> None:
    async with YokedCache() as cache:
        await cache.set("key", 1)
    with pytest.raises(ClosedError):
        await cache.get("key")
    with YokedCache() as face:
        face.set("key", 1)
        assert face.get("key") == 1
    with pytest.raises(ClosedError):
        face.get("key")


async def test_stats(face: Face, clocked: YokedCache) -> None:
    @cached(cache=clocked, ttl=60)
    def load(number: int) -> int:
        return number

    for number in (1, 1, 1, 2):
        load(number)
    await face.set("key", 1)
    await face.get("key")
    await face.get("missing")
    await face.invalidate_tags("nothing")
    stats = clocked.stats()
    name = f"{load.__module__}.{load.__qualname__}"
    assert (stats.by_name[name].hits, stats.by_name[name].loads) == (2, 2)
    assert stats.by_name[name].hit_ratio == 0.5
    assert (stats.by_name["keys"].hits, stats.by_name["keys"].loads) == (1, 1)
    assert (stats.total.hits, stats.total.loads) == (3, 3)
    assert (stats.entries, stats.invalidations) == (3, 1)
    assert stats.bytes > 0


async def test_stats_keep_the_hits_of_what_has_left(clocked: YokedCache) -> None:
    await clocked.set("key", 1, tags=["t"])
    await clocked.get("key")
    await clocked.invalidate_tags("t")
    assert await clocked.get("key") is None
    await clocked.set("key", 2)
    await clocked.get("key")
    await clocked.clear()
    assert clocked.stats().by_name["keys"].hits == 2


def test_explain_says_why_a_function_was_not_stored(cache: YokedCache) -> None:
    @cached(cache=cache, condition=bool)
    def load(number: int) -> int:
        return number

    load(0), load(0)
    told = cache.explain(load, 0)
    assert (told.served, told.reason) == (False, "not stored")
    assert told.refused == {"condition": 2}
    assert "refused before: condition (2)" in str(told)
    load(1)
    assert cache.explain(load, 1).refused == {}


async def test_explain(face: Face, clocked: YokedCache, clock: FakeClock) -> None:
    @cached(cache=clocked, ttl=60, tags=["mine"])
    def load(number: int) -> int:
        return number

    assert clocked.explain("key").reason == "not stored"
    assert str(clocked.explain("key")) == "not served: not stored"
    await face.set("key", 1, ttl=10)
    clock.advance(4)
    told = clocked.explain("key")
    assert (told.served, told.reason, told.fresh_for) == (True, "fresh", 6.0)
    assert "depends on: time alone" in str(told)
    clock.advance(6)
    assert (clocked.explain("key").served, clocked.explain("key").reason) == (
        False,
        "gone",
    )
    load(1)
    told = clocked.explain(load, 1)
    assert (told.served, told.depends_on) == (True, ("mine",))
    assert clocked.explain(load, number=2).served is False
    await face.invalidate_tags("mine")
    told = clocked.sync.explain(load, 1)
    assert (told.served, told.reason) == (False, "mine was invalidated")
    assert "not served: mine was invalidated" in str(told)
    with pytest.raises(UsageError, match="can't explain"):
        clocked.explain(object())


@pytest.mark.parametrize("key", ["", None, 1, b"key", ("key",)], ids=repr)
async def test_keys_are_strings(face: Face, key: Any) -> None:
    for name, args in (("get", ()), ("set", (1,)), ("delete", ()), ("exists", ())):
        with pytest.raises(UsageError, match="non-empty string"):
            await getattr(face, name)(key, *args)


@pytest.mark.parametrize("tags", ["users", b"users", [1], [""], [None]], ids=repr)
async def test_tags_are_lists_of_strings(face: Face, tags: Any) -> None:
    with pytest.raises(UsageError, match="tag"):
        await face.set("key", 1, tags=tags)
    assert await face.exists("key") is False
    with pytest.raises(UsageError, match="tag"):
        await face.set_many({"key": 1}, tags=tags)


@pytest.mark.parametrize("ttl", [0, -1, "x", True, float("nan"), 1e12, []], ids=repr)
async def test_lifetimes_are_checked(face: Face, ttl: Any) -> None:
    with pytest.raises(DurationError, match="ttl"):
        await face.set("key", 1, ttl=ttl)
    with pytest.raises(DurationError, match="ttl"):
        await face.get_or_set("key", int, ttl=ttl)
    assert await face.exists("key") is False


async def test_values_are_the_readers_own(face: Face) -> None:
    mine = {"a": [1]}
    await face.set("key", mine)
    mine["a"].append(2)
    (await face.get("key"))["a"].append(3)
    (await face.get_many(["key"]))["key"]["a"].append(4)
    (await face.get_or_set("key", dict))["a"].append(5)
    assert await face.get("key") == {"a": [1]}

"""
The options of `@cached`, each by what it does to calls.
"""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import MISS, YokedCache, cached
from yokedcache.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yokedcache.testing import FakeClock


class Source:
    """
    What functions load: a number that says how often that was done.
    """

    def __init__(self) -> None:
        self.loads = 0
        self.error: Exception | None = None

    def load(self) -> int:
        self.loads += 1
        if self.error is not None:
            raise self.error
        return self.loads


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.mark.parametrize("ttl", [10, "10s", timedelta(seconds=10)], ids=str)
def test_ttl(clocked: YokedCache, clock: FakeClock, source: Source, ttl: Any) -> None:
    load = cached(cache=clocked, ttl=ttl)(source.load)
    assert [load(), load()] == [1, 1]
    clock.advance(9.9)
    assert load() == 1
    clock.advance(0.1)
    assert load() == 2


def test_no_ttl_is_the_settings(
    clocked: YokedCache, clock: FakeClock, source: Source
) -> None:
    load = cached(cache=clocked)(source.load)
    assert load() == 1
    clock.advance(299)
    assert load() == 1
    clock.advance(1)
    assert load() == 2


async def test_static_tags(cache: YokedCache, source: Source) -> None:
    @cached(cache=cache, tags=["users", "all"])
    async def load() -> int:
        return source.load()

    assert [await load(), await load()] == [1, 1]
    await cache.invalidate_tags(["posts"])
    assert await load() == 1
    for number, tag in enumerate(("users", "all"), start=2):
        await cache.invalidate_tags([tag])
        assert [await load(), await load()] == [number] * 2


def test_template_tags(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache, tags=["users", "user:{number}", "of:{who.real}"])
    def load(number: int, *, who: int = 7) -> int:
        runs.append(number)
        return number

    load(1), load(2)
    cache.sync.invalidate_tags("user:1")
    load(1), load(2)
    assert runs == [1, 2, 1]
    cache.sync.invalidate_tags("of:7")
    load(1), load(2)
    assert runs == [1, 2, 1, 1, 2]
    cache.sync.invalidate_tags("users")
    load(2)
    assert runs[5:] == [2]


def test_tags_from_a_callable(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(
        cache=cache, tags=lambda number, many: [f"user:{n}" for n in [number, *many]]
    )
    def load(number: int, many: tuple[int, ...] = ()) -> int:
        runs.append(number)
        return number

    load(1, (2, 3))
    cache.sync.invalidate_tags("user:3")
    load(1, (2, 3))
    cache.sync.invalidate_tags("user:4")
    load(1, (2, 3))
    assert runs == [1, 1]


def test_result_tags(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache, result_tags=lambda found: [f"user:{n}" for n in found])
    def load() -> list[int]:
        runs.append(1)
        return [4, 5]

    load(), load()
    cache.sync.invalidate_tags("user:5")
    load()
    cache.sync.invalidate_tags("user:6")
    load()
    assert len(runs) == 2


def test_result_tags_bumped_while_loading_keep_it_from_being_stored(
    cache: YokedCache,
) -> None:
    runs: list[int] = []

    @cached(cache=cache, result_tags=lambda _: ["user:1"])
    def load() -> int:
        runs.append(1)
        cache.sync.set("other", 1, tags=["user:1"])
        if len(runs) == 1:
            cache.sync.invalidate_tags("user:1")
        return len(runs)

    assert [load(), load(), load()] == [1, 2, 2]


@pytest.mark.parametrize("key", ["user-{number}", lambda number, _: ("user", number)])
def test_key(cache: YokedCache, key: Any) -> None:
    runs: list[Any] = []

    @cached(cache=cache, key=key)
    def load(number: int, noise: object) -> int:
        runs.append(number)
        return number

    assert [load(1, object()), load(1, object()), load(2, object())] == [1, 1, 2]
    assert runs == [1, 2]


def test_condition(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache, condition=lambda found: found is not None)
    def load(number: int) -> int | None:
        runs.append(number)
        return number or None

    assert [load(0), load(0), load(1), load(1)] == [None, None, 1, 1]
    assert runs == [0, 0, 1]
    assert cache.stats().total.refusals == {"condition": 2}


async def renewed(source: Source, loads: int) -> None:
    """
    Wait until the source was asked that often in the background.
    """
    pause = asyncio.Event()
    for _ in range(2000):
        if source.loads >= loads:
            return
        try:
            await asyncio.wait_for(pause.wait(), 0.002)
        except TimeoutError:
            continue
    raise AssertionError("nothing was loaded in the background")


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "blocking"])
async def test_stale(
    clocked: YokedCache, clock: FakeClock, source: Source, blocking: bool
) -> None:
    @cached(cache=clocked, ttl=10, stale=20)
    async def waiting() -> int:
        return source.load()

    direct = cached(cache=clocked, ttl=10, stale=20)(source.load)

    async def load() -> int:
        return direct() if blocking else await waiting()

    async def fresh(value: int) -> None:
        for _ in range(2000):
            if (direct if blocking else waiting).peek() == value:
                return
            await renewed(source, value)
            await asyncio.sleep(0)
        raise AssertionError("the renewed value was not stored")

    assert await load() == 1
    clock.advance(11)
    assert await load() == 1  # at once; renewed in the background
    await fresh(2)
    assert await load() == 2
    clock.advance(30)
    assert await load() == 3  # too old for that


def test_stale_on_error(clocked: YokedCache, clock: FakeClock, source: Source) -> None:
    load = cached(cache=clocked, ttl=10, stale_on_error=20)(source.load)
    assert load() == 1
    source.error = LookupError("down")
    clock.advance(11)
    assert load() == 1
    assert source.loads == 2
    clock.advance(19)
    with pytest.raises(LookupError, match="down"):
        load()
    source.error = None
    assert load() == 4


@pytest.mark.parametrize("option", ["stale", "stale_on_error", "early"])
def test_stale_options_never_serve_what_was_invalidated(
    clocked: YokedCache, clock: FakeClock, source: Source, option: str
) -> None:
    options: dict[str, Any] = {option: 100 if option == "early" else "1h"}
    load = cached(cache=clocked, ttl=10, tags=["t"], **options)(source.load)
    assert load() == 1
    clocked.sync.invalidate_tags("t")
    assert load() == 2
    clock.advance(11)
    clocked.sync.invalidate_tags("t")
    source.error = LookupError("down")
    with pytest.raises(LookupError, match="down"):
        load()


async def test_early(
    clocked: YokedCache,
    clock: FakeClock,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @cached(cache=clocked, ttl=100, early=1.0)
    async def load() -> int:
        clock.advance(2)  # what it costs
        return source.load()

    draws: Iterator[float] = iter([1.0, 0.01])
    monkeypatch.setattr("yokedcache.calls.draw", lambda: next(draws))
    assert await load() == 1
    clock.advance(50)
    assert await load() == 1  # too soon for anybody to be asked
    clock.advance(45)
    assert await load() == 1  # drew 1.0: not this one
    assert source.loads == 1
    assert await load() == 1  # drew a small number: renews it
    await renewed(source, 2)


def test_errors_are_cached_by_name(
    clocked: YokedCache, clock: FakeClock, source: Source
) -> None:
    @cached(cache=clocked, ttl=60, tags=["t"], errors={LookupError: 10})
    def load() -> int:
        return source.load()

    source.error = KeyError("missing", 404)
    seen = []
    for _ in range(3):
        with pytest.raises(KeyError) as caught:
            load()
        assert caught.value.args == ("missing", 404)
        seen.append(caught.value)
    assert source.loads == 1
    assert len(set(map(id, seen))) == 3
    clock.advance(10)
    with pytest.raises(KeyError):
        load()
    assert source.loads == 2
    clocked.sync.invalidate_tags("t")
    source.error = ValueError("another")
    for loads in (3, 4):
        with pytest.raises(ValueError, match="another"):
            load()
        assert source.loads == loads
    source.error = None
    assert [load(), load()] == [5, 5]


@pytest.mark.parametrize("fixed", [True, False], ids=["value", "callable"])
def test_vary(cache: YokedCache, source: Source, fixed: bool) -> None:
    current = ["ann"]
    load = cached(cache=cache, vary="x" if fixed else lambda: current[0])(source.load)
    assert [load(), load()] == [1, 1]
    current[0] = "bob"
    assert load() == (1 if fixed else 2)
    current[0] = "ann"
    assert load() == 1


def test_copy(cache: YokedCache) -> None:
    mine = cached(cache=cache)(lambda: {"a": [1]})
    shared = cached(cache=cache, copy=False)(lambda: {"a": [1]})
    for load in (mine, shared):
        load()
    assert mine() is not mine()
    assert shared() is shared()
    mine()["a"].append(2)
    assert mine() == {"a": [1]}


def test_a_wrapped_function_keeps_its_looks(cache: YokedCache) -> None:
    @cached(cache=cache)
    def load(a: int, /, b: int = 2, *rest: int, c: int, **more: int) -> int:
        """
        What it does.
        """
        return sum((a, b, *rest, c, *more.values()))

    assert load.__name__ == "load"
    assert "What it does." in (load.__doc__ or "")
    assert str(inspect.signature(load)) == str(inspect.signature(load.__wrapped__))
    assert load(1, c=3) == 6
    assert load(1, 2, 3, c=4, d=5) == load.uncached(1, 2, 3, c=4, d=5) == 15
    with pytest.raises(TypeError, match="missing"):
        load(1)  # type: ignore[call-arg]


def test_handles(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache)
    def load(number: int, *, deep: bool = False) -> int:
        runs.append(number)
        return len(runs)

    assert load.peek(1) is MISS
    assert load(1) == load.peek(1) == load.peek(number=1, deep=False) == 1
    assert load.key(1) == load.key(number=1) != load.key(1, deep=True)
    assert load.uncached(1) == 2
    assert load(1) == 1
    assert load.refresh(1) == 3
    assert load(1) == 3
    assert load.invalidate(2) is False
    assert load.invalidate(1) is True
    assert load.peek(1) is MISS
    assert load.warm([(1,), {"number": 5}, load.call(6, deep=True)]) == 3
    assert [load(1), load(5), load(6, deep=True)] == [4, 5, 6]
    with pytest.raises(TypeError):
        load.call(1, 2)  # type: ignore[call-arg]
    with pytest.raises(DeclarationError, match="warm"):
        load.warm([1])  # type: ignore[list-item]


async def test_handles_of_async_functions(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache)
    async def load(number: int) -> int:
        runs.append(number)
        return len(runs)

    assert load.peek(1) is MISS
    assert await load(1) == load.peek(1) == 1
    assert await load.uncached(1) == 2
    assert await load.refresh(1) == 3
    assert await load(1) == 3
    assert load.invalidate(1) is True
    assert await load.warm([(1,), (1,), load.call(2)]) == 2
    assert [await load(1), await load(2)] == [4, 5]

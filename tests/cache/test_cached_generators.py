"""
Cached generators: run to their end once, and yield the same again.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from tests.support.models import User
from yokedcache import MISS, YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.support.databases import Blog

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["blocking", "async"])
def numbers(
    request: pytest.FixtureRequest, cache: YokedCache
) -> tuple[Any, list[int], Callable[..., Any]]:
    """
    Give a cached generator, its runs, and a way to take all that it yields.
    """
    runs: list[int] = []
    if request.param == "blocking":

        @cached(cache=cache)
        def blocking(upto: int) -> Iterator[list[int]]:
            runs.append(upto)
            for number in range(upto):
                yield [number]

        async def take(generator: Any) -> list[Any]:
            return list(generator)

        return blocking, runs, take

    @cached(cache=cache)
    async def waiting(upto: int) -> AsyncIterator[list[int]]:
        runs.append(upto)
        for number in range(upto):
            yield [number]

    async def gather(generator: Any) -> list[Any]:
        return [item async for item in generator]

    return waiting, runs, gather


async def test_a_generator_runs_once(numbers: Any) -> None:
    function, runs, take = numbers
    for _ in range(3):
        assert await take(function(2)) == [[0], [1]]
    assert await take(function(upto=2)) == [[0], [1]]
    assert await take(function(0)) == []
    assert await take(function(0)) == []
    assert runs == [2, 0]


async def test_it_stays_a_generator(numbers: Any) -> None:
    function, runs, _ = numbers
    generator = function(2)
    assert inspect.isgenerator(generator) or inspect.isasyncgen(generator)
    assert inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    assert not runs  # nothing runs before the first item is asked for


async def test_items_are_each_callers_own(numbers: Any) -> None:
    function, _, take = numbers
    for _ in range(3):
        found = await take(function(2))
        assert found == [[0], [1]]
        found[0].append("mine")


async def test_a_consumer_may_stop_early(numbers: Any) -> None:
    function, runs, take = numbers
    if inspect.isgeneratorfunction(function):
        assert next(function(3)) == [0]
    else:
        generator = function(3)
        assert await anext(generator) == [0]
        await generator.aclose()
    assert await take(function(3)) == [[0], [1], [2]]
    assert runs == [3]


async def test_the_handle_gives_iterators(numbers: Any) -> None:
    function, runs, take = numbers
    assert function.peek(2) is MISS
    assert await take(function.refresh(2)) == [[0], [1]]
    assert await take(function.peek(2)) == [[0], [1]]
    assert await take(function.uncached(2)) == [[0], [1]]
    assert runs == [2, 2]
    assert function.invalidate(2)
    assert function.peek(2) is MISS
    warmed = function.warm([(1,), {"upto": 2}])
    assert (await warmed if inspect.isawaitable(warmed) else warmed) == 2
    assert await take(function(1)) == [[0]]
    assert runs == [2, 2, 1, 2]


@pytest.mark.parametrize("kind", ["blocking", "async"])
async def test_more_than_the_limit_goes_through_and_is_not_kept(kind: str) -> None:
    begun: list[int] = []
    cache = YokedCache(max_rows=3)

    @cached(cache=cache)
    def blocking(upto: int) -> Iterator[int]:
        for number in range(upto):
            begun.append(number)
            yield number

    @cached(cache=cache)
    async def waiting(upto: int) -> AsyncIterator[int]:
        for number in range(upto):
            begun.append(number)
            yield number

    async def ask(upto: int, stop: int = 99) -> list[int]:
        if kind == "blocking":
            return [n for n, _ in zip(blocking(upto), range(stop), strict=False)]
        return [n async for n in waiting(upto) if n < stop]

    for _ in range(2):
        assert await ask(3) == [0, 1, 2]
    assert begun == [0, 1, 2]
    for _ in range(2):
        assert await ask(9) == list(range(9))
    if kind == "blocking":
        begun.clear()
        assert await ask(1_000_000, stop=2) == [0, 1]
        assert len(begun) == 4
    assert cache.stats().total.refusals["too_many_items"] >= 2
    cache.sync.close()


async def test_an_error_in_the_middle_keeps_nothing(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache)
    def failing() -> Iterator[int]:
        runs.append(1)
        yield 1
        raise LookupError("no more")

    for _ in range(2):
        with pytest.raises(LookupError, match="no more"):
            list(failing())
    assert len(runs) == 2


async def test_a_method_that_yields(cache: YokedCache) -> None:
    class Shelf:
        runs = 0

        def __init__(self, size: int) -> None:
            self.size = size

        @cached(cache=cache)
        def books(self, kind: str) -> Iterator[str]:
            Shelf.runs += 1
            yield from [kind] * self.size

    for _ in range(2):
        assert list(Shelf(2).books("atlas")) == ["atlas"] * 2
        assert list(Shelf(1).books("atlas")) == ["atlas"]
    assert Shelf.runs == 2
    assert list(Shelf(2).books.peek("atlas")) == ["atlas"] * 2


def test_what_it_reads_is_known(any_blog: Blog, cache: YokedCache) -> None:
    @cached(cache=cache)
    def names() -> Iterator[str]:
        with any_blog.sessions() as session:
            for user in session.scalars(select(User).order_by(User.id)):
                yield user.name

    assert list(names()) == ["ann", "bob", "eve"]
    with any_blog.counted() as sent:
        assert list(names()) == ["ann", "bob", "eve"]
    assert not sent
    with any_blog.sessions.begin() as session:
        session.get_one(User, 2).name = "new"
    assert list(names()) == ["ann", "new", "eve"]

"""
The compiled wrapper: binds as the function does, and a hit runs nothing else.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import YokedCache, cached
from yokedcache.errors import DeclarationError, KeyArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def cache() -> Iterator[YokedCache]:
    cache = YokedCache("memory://")
    yield cache
    cache.sync.close()


def recorded(cache: YokedCache) -> tuple[Callable[..., Any], list[tuple[Any, ...]]]:
    ran: list[tuple[Any, ...]] = []

    @cached(cache=cache)
    def function(a: Any, /, b: Any = 10, *, c: Any = "c") -> Any:
        ran.append((a, b, c))
        return (a, b, c)

    return function, ran


def test_all_spellings_of_a_call_share_one_entry(cache: YokedCache) -> None:
    function, ran = recorded(cache)
    answers = [
        function(1),
        function(1, 10),
        function(1, b=10),
        function(1, c="c"),
        function(1, 10, c="c"),
    ]
    assert ran == [(1, 10, "c")]
    assert answers == [(1, 10, "c")] * 5


def test_equal_arguments_of_other_types_are_other_calls(cache: YokedCache) -> None:
    function, ran = recorded(cache)
    for _ in range(2):
        assert [type(function(a)[0]) for a in (1, True, 1.0, "1")] == [
            int,
            bool,
            float,
            str,
        ]
    assert len(ran) == 4


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"d": 1}), ((), {"a": 1})]
)
def test_wrong_calls_fail_as_the_function_would(
    cache: YokedCache, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    function, ran = recorded(cache)
    with pytest.raises(TypeError):
        function(*args, **kwargs)
    assert ran == []


def test_every_kind_of_parameter_is_passed_on(cache: YokedCache) -> None:
    @cached(cache=cache)
    def function(a: int, /, b: int, *rest: int, c: int = 3, **named: int) -> Any:
        return a, b, rest, c, named

    for _ in range(2):
        assert function(1, 2) == (1, 2, (), 3, {})
        assert function(1, 2, 4, 5, c=6, a=7) == (1, 2, (4, 5), 6, {"a": 7})
    assert cache.stats().total.loads == 2


def test_parameters_may_be_named_like_builtins(cache: YokedCache) -> None:
    @cached(cache=cache)
    def function(type: Any, Exception: Any, KeyError: Any = 1) -> Any:  # noqa: A002, N803
        return type, Exception, KeyError

    for _ in range(2):
        assert function(1, 2) == (1, 2, 1)
    assert cache.stats().total.hits == 1


def test_defaults_are_the_functions_own_objects(cache: YokedCache) -> None:
    marker = frozenset({1})

    @cached(cache=cache)
    def function(a: Any = marker) -> Any:
        return [a]

    assert function()[0] is marker


def test_names_of_the_wrapper_are_refused_as_parameters() -> None:
    with pytest.raises(DeclarationError, match="_yc_entries"):

        @cached
        def function(_yc_entries: int) -> int:
            return _yc_entries


def test_what_the_function_raises_has_nothing_behind_it(cache: YokedCache) -> None:
    @cached(cache=cache)
    def function(a: int) -> int:
        raise LookupError(a)

    with pytest.raises(LookupError) as caught:
        function(1)
    assert caught.value.__context__ is None


def test_what_an_async_function_raises_has_nothing_behind_it(cache: YokedCache) -> None:
    @cached(cache=cache)
    async def function(a: int) -> int:
        raise LookupError(a)

    with pytest.raises(LookupError) as caught:
        asyncio.run(function(1))
    assert caught.value.__context__ is None


def test_lists_and_dicts_make_keys_too(cache: YokedCache) -> None:
    function, ran = recorded(cache)
    for _ in range(2):
        assert function([1, {"x": 2}]) == ([1, {"x": 2}], 10, "c")
        assert function((1,)) == ((1,), 10, "c")
        assert function((True,)) == ((True,), 10, "c")
    assert len(ran) == 3


class Odd:
    """
    Can't be hashed, and not for the usual reason.
    """

    def __hash__(self) -> int:
        raise ZeroDivisionError

    def __eq__(self, other: object) -> bool:
        return self is other

    def __reduce__(self) -> str:
        raise ZeroDivisionError


def test_failing_hash_is_told_as_an_argument_that_makes_no_key(
    cache: YokedCache,
) -> None:
    function, ran = recorded(cache)
    with pytest.raises(KeyArgumentError, match="Odd"):
        function(Odd())
    assert ran == []


def test_wrapper_looks_like_the_function(cache: YokedCache) -> None:
    async def function(a: int, *, b: str = "b") -> dict[str, int]:
        """
        Say what it does.
        """
        return {b: a}

    wrapper = cached(cache=cache)(function)
    assert inspect.signature(wrapper) == inspect.signature(function)
    assert inspect.iscoroutinefunction(wrapper)
    assert wrapper.__qualname__ == function.__qualname__
    assert wrapper.__doc__ == function.__doc__


@pytest.mark.parametrize(("args", "named"), [((1,), {"b": 10}), ((), {})])
def test_hit_is_one_frame(
    cache: YokedCache, args: tuple[Any, ...], named: dict[str, Any]
) -> None:
    import sys

    function, _ = recorded(cache) if args else (cached(cache=cache)(lambda: 1), None)
    function(*args)
    function(*args)
    frames: list[str] = []
    sys.setprofile(
        lambda frame, what, _: (
            frames.append(frame.f_code.co_name) if what == "call" else None
        )
    )
    try:
        function(*args, **named)
    finally:
        sys.setprofile(None)
    assert frames == ["_yc_wrapper"]


def test_function_of_a_closed_cache_runs() -> None:
    first = YokedCache("memory://")

    @cached(cache=first)
    def function(a: int) -> int:
        return a

    assert function(1) == 1
    first.sync.close()
    assert function(1) == 1
    assert function(1) == 1

"""
An exception that is kept is raised as it came to the caller whose load it ended.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import traceback
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


class Held:
    """
    What a caller, or a load, has in its hands.
    """


class AwkwardError(Exception):
    """
    One that can't be made of its arguments.
    """

    def __new__(cls, *args: object, code: int) -> Self:
        return super().__new__(cls, *args)

    def __init__(self, *args: object, code: int) -> None:
        super().__init__(*args)
        self.code = code


@pytest.fixture
def no_cycles_are_freed() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_cycles_are_freed")
@pytest.mark.parametrize("errors", [{}, {LookupError: "30s"}])
def test_nobodys_hands_are_held(errors: dict[Any, str]) -> None:
    held: list[weakref.ref[Held]] = []

    def hold() -> Held:
        made = Held()
        held.append(weakref.ref(made))
        return made

    owner = YokedCache()
    with owner:

        @cached(cache=owner, errors=errors)
        def find() -> None:
            in_hand = hold()
            try:
                int(str(in_hand))
            except ValueError as error:
                raise LookupError(id(in_hand)) from error

        @cached(cache=owner, errors=errors)
        async def find_async() -> None:
            find.__wrapped__()

        def call(asked: Callable[[], Any]) -> None:
            in_hand = hold()
            with suppress(LookupError):
                asked()
            assert in_hand

        async def call_async(asked: Callable[[], Awaitable[Any]]) -> None:
            in_hand = hold()
            with suppress(LookupError):
                await asked()
            assert in_hand

        for _ in range(2):
            call(find)
            call(lambda: owner.sync.get_or_set("key", find.__wrapped__))
            asyncio.run(call_async(find_async))
            asyncio.run(call_async(lambda: owner.get_or_set("key", find.__wrapped__)))
        assert [one() for one in held if one() is not None] == []


def test_causes_are_kept_without_what_they_were_raised_in() -> None:
    engine = create_engine("sqlite://")
    owner = YokedCache()
    with owner:

        @cached(cache=owner, errors={OperationalError: "30s"})
        def fail() -> None:
            with engine.connect() as connection:
                connection.execute(text("SELECT nothing"))

        with pytest.raises(OperationalError) as first:
            fail()
        with pytest.raises(OperationalError) as second:
            fail()
        assert str(second.value) == str(first.value)
        assert second.value.orig is second.value.__cause__
        assert isinstance(second.value.orig, sqlite3.OperationalError)
        assert second.value.orig.__traceback__ is None
        assert first.value.orig.__traceback__ is not None
        assert owner.stats().total.loads == 1
    engine.dispose()


def test_what_cannot_be_made_anew_is_raised_and_not_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = YokedCache()
    with owner:

        @cached(cache=owner, errors={AwkwardError: "30s"})
        def fail() -> None:
            raise AwkwardError("what", code=1)

        for _ in range(2):
            with pytest.raises(AwkwardError, match="what"):
                fail()
        assert owner.stats().total.refusals == {"unstorable": 2}
    assert "can't be made anew of its arguments" in caplog.text


def test_first_caller_gets_the_exception_itself() -> None:
    owner = YokedCache()
    with owner:
        raised: list[LookupError] = []

        @cached(cache=owner, errors={LookupError: "30s"})
        def find(name: str) -> str:
            raised.append(LookupError(name))
            raise raised[-1]

        with pytest.raises(LookupError) as first:
            find("x")
        with pytest.raises(LookupError) as second:
            find("x")
        assert first.value is raised[0]
        assert "find" in {frame.name for frame in traceback.extract_tb(first.tb)}
        assert second.value is not raised[0]
        assert len(raised) == 1
        counts = owner.stats().by_name[f"{find.__module__}.{find.__qualname__}"]
        assert (counts.hits, counts.loads) == (1, 1)

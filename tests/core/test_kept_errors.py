"""
An exception that is kept is raised as it came to the caller whose load it ended.
"""

from __future__ import annotations

import asyncio
import sqlite3
import traceback
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.support.fixtures import no_cycles_are_freed  # noqa: F401 - found by name
from yokedcache import YokedCache, cached
from yokedcache.core.kept_errors import kept, raise_anew

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Held:
    """
    What a caller, or a load, has in its hands.
    """


class AwkwardError(Exception):
    """
    One that can't be made of its arguments, and counts how often it is made.
    """

    made = 0

    def __new__(cls, *args: object, code: int) -> Self:
        return super().__new__(cls, *args)

    def __init__(self, *args: object, code: int) -> None:
        super().__init__(*args)
        self.code = code
        AwkwardError.made += 1


class BrokenError(UnicodeDecodeError):
    """
    One that nobody could make, once its arguments are gone.
    """


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


def test_nothing_of_an_application_runs_for_it() -> None:
    owner, made = YokedCache(), AwkwardError.made
    with owner:

        @cached(cache=owner, errors={AwkwardError: "30s"})
        def fail() -> None:
            raise AwkwardError("what", code=1)

        for _ in range(3):
            with pytest.raises(AwkwardError, match="what") as caught:
                fail()
            assert caught.value.code == 1
        assert owner.stats().total.loads == 1
    assert AwkwardError.made == made + 1


def test_what_cannot_be_made_anew_is_raised_and_not_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = YokedCache()
    with owner:

        @cached(cache=owner, errors={BrokenError: "30s"})
        def fail() -> None:
            error = BrokenError("utf-8", b"", 0, 1, "why")
            error.args = ()
            raise error

        for _ in range(2):
            with pytest.raises(BrokenError):
                fail()
        assert owner.stats().total.refusals == {"unstorable": 2}
    assert "class BrokenError can't be made anew" in caplog.text


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


class EmptyError(Exception):
    """
    One that is false, as a list of problems may be.
    """

    def __len__(self) -> int:
        return 0


class NamedError(Exception):
    """
    One whose arguments aren't those of its class, and that holds another one.
    """

    def __init__(self, name: str, why: BaseException) -> None:
        super().__init__(f"no {name}")
        self.name = name
        self.why = [why]


def test_an_error_that_is_false_is_raised_as_it_is() -> None:
    owner = YokedCache()
    with owner:

        @cached(cache=owner, errors={EmptyError: "30s"})
        def fail() -> None:
            raise EmptyError(1)

        for _ in range(2):
            with pytest.raises(EmptyError):
                fail()
        assert owner.stats().total.loads == 1


def raised(error: BaseException, cause: BaseException | None = None) -> Any:
    """
    Give an exception as it is once it was raised.
    """
    with pytest.raises(type(error)) as met:
        raise error from cause
    return met.value


def test_copies_are_what_the_exceptions_were() -> None:
    missing = raised(FileNotFoundError(2, "No such file", "a.txt"))
    unread = raised(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"))
    error = raised(NamedError("thing", missing), unread)
    error.add_note("first")
    twin = kept(error)
    assert type(twin) is NamedError
    assert (str(twin), twin.name) == ("no thing", "thing")
    assert str(twin.why[0]) == str(missing)
    assert twin.why[0].filename == "a.txt"
    assert str(twin.__cause__) == str(unread)
    every = (twin, twin.why[0], twin.__cause__)
    assert [one.__traceback__ for one in every] == [None] * 3
    assert missing.__traceback__ is not None
    with pytest.raises(NamedError) as caught:
        raise_anew(twin)
    caught.value.add_note("a caller's")
    assert twin.__notes__ == error.__notes__ == ["first"]


def test_a_group_is_copied_with_what_is_in_it() -> None:
    group = raised(ExceptionGroup("both", [raised(KeyError(1)), raised(ValueError(2))]))
    twin = kept(group)
    assert str(twin) == str(group)
    assert [repr(one) for one in twin.exceptions] == ["KeyError(1)", "ValueError(2)"]
    assert [one.__traceback__ for one in twin.exceptions] == [None, None]

    class OwnGroup(ExceptionGroup[Exception]):
        pass

    own = kept(raised(OwnGroup("both", [raised(KeyError(1))])))
    assert (type(own), own.exceptions[0].__traceback__) == (OwnGroup, None)


def test_what_lies_in_slots_and_in_c_is_copied() -> None:
    class SlottedError(Exception):
        __slots__ = ("name",)

        def __init__(self, name: str) -> None:
            super().__init__(f"no {name}")
            self.name = name

    class PretendingError(Exception):
        def __reduce__(self) -> Any:
            return RuntimeError, ("another",)

        def __copy__(self) -> Self:
            return self

    error = SlottedError("thing")
    twin: Any = kept(error)
    assert (twin.name, twin.args) == ("thing", ("no thing",))
    twin = kept(ImportError("why", name="module", path="file"))
    assert (twin.name, twin.path) == ("module", "file")
    pretends = PretendingError("x")
    twin = kept(pretends)
    assert type(twin) is PretendingError
    assert twin is not pretends
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("x")
    assert str(kept(caught.value)) == str(caught.value)


def test_a_cause_that_cannot_be_copied_is_left_out() -> None:
    broken = BrokenError("utf-8", b"", 0, 1, "why")
    broken.args = ()
    twin = kept(raised(LookupError("x"), raised(broken)))
    assert (type(twin), twin.args, twin.__cause__) == (LookupError, ("x",), None)


def test_errors_that_hold_each_other_are_copied_once() -> None:
    first, second = LookupError(1), LookupError(2)
    first.__cause__, second.__dict__["first"] = second, first
    twin: Any = kept(first)
    assert twin.__cause__.first is twin

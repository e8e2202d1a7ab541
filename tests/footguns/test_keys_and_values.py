"""
Footguns 18, 19 and 31 to 38: keys that differ, values that stay what they were.
"""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from tests.support.models import User
from yokedcache import YokedCache, cached, cached_dependency
from yokedcache.errors import DurationError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.support.databases import Blog
    from yokedcache.testing import FakeClock


class Repository:
    def __init__(self, session: Session) -> None:
        self.session = session


@pytest.mark.usefixtures("may_block")
@pytest.mark.parametrize("early", [0.0, 100.0])
async def test_footgun_18_a_refresh_never_uses_a_session_that_was_closed(
    any_blog: Blog, clocked: YokedCache, clock: FakeClock, early: float
) -> None:
    used: list[bool] = []

    class Users(Repository):
        @cached(cache=clocked, ttl=10, stale=60, early=early)
        async def find(self, number: int) -> str:
            used.append(open_now[id(self.session)])
            clock.advance(1)
            return self.session.get_one(User, number).name

    open_now: dict[int, bool] = {}
    for _ in range(5):
        with any_blog.sessions() as session:
            open_now[id(session)] = True
            assert await Users(session).find(1) == "ann"
            open_now[id(session)] = False
        clock.advance(8)
    assert len(used) >= 2
    assert all(used)


def request_for(user: str) -> Request:
    headers = [(b"authorization", user.encode())]
    return Request({"type": "http", "headers": headers, "method": "GET", "path": "/"})


def test_footgun_19_sessions_and_requests_are_no_part_of_keys(
    any_blog: Blog, cache: YokedCache
) -> None:
    runs: list[int] = []

    @cached(cache=cache, ttl=60)
    def name(session: Session, request: Request, number: int) -> str:
        runs.append(number)
        return session.get_one(User, number).name

    for _ in range(5):
        with any_blog.sessions() as session:
            assert name(session, request_for("ann"), 1) == "ann"
    assert runs == [1]
    assert cache.stats().entries == 1


PAIRS: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = [
    ((1, 2), ("1", "2")),
    ((1, 2), (1.0, 2)),
    ((1, 2), (True, 2)),
    ((0, 2), (False, 2)),
    (("", 2), (None, 2)),
    (("x", "y:b:z"), ("x:b:y", "z")),
    (("a", "b c"), ("a b", "c")),
    (("1", 1), (1, "1")),
    (((1, 2), 3), ([1, 2], 3)),
    (((1,), 2), (1, 2)),
    ((b"a", 1), ("a", 1)),
    (({"a": 1}, 1), ((("a", 1),), 1)),
    ((Decimal("1.0"), 1), (1, 1)),
    ((frozenset({1}), 1), ((1,), 1)),
    ((dt.date(2024, 1, 1), 1), (dt.datetime(2024, 1, 1), 1)),  # noqa: DTZ001 - a value like any
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=repr)
def test_footgun_31_different_arguments_have_different_keys(
    cache: YokedCache, one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    @cached(cache=cache, ttl=60)
    def given(a: Any, b: Any) -> str:
        return repr((a, b))

    assert given(*one) == repr(one)
    assert given(*other) == repr(other)
    assert given(*one) == repr(one)
    assert given.key(*one) != given.key(*other)


def test_footgun_31_the_same_call_spelt_otherwise_has_the_same_key(
    cache: YokedCache,
) -> None:
    runs: list[int] = []

    @cached(cache=cache, ttl=60)
    def given(a: int, b: int = 2, *, c: int = 3) -> int:
        runs.append(1)
        return a + b + c

    assert {given(1), given(1, 2), given(b=2, a=1), given(1, c=3)} == {6}
    assert runs == [1]


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name


def test_footgun_32_instances_are_told_by_what_they_are(cache: YokedCache) -> None:
    runs: list[str] = []

    class Local(Shop):
        @cached(cache=cache, ttl=60)
        def greet(self, word: str) -> str:
            runs.append(self.name)
            return f"{word} from {self.name}"

    for number in range(50):  # addresses are used again at once
        name = f"shop {number}"
        assert Local(name).greet("hello") == f"hello from {name}"
    one, other = Local("one"), Local("other")
    assert one.greet("hi") == "hi from one"
    assert other.greet("hi") == "hi from other"
    runs.clear()
    assert Local("one").greet("hi") == "hi from one"
    one.name = "renamed"
    assert one.greet("hi") == "hi from renamed"
    assert runs == ["renamed"]


@pytest.mark.parametrize("value", [None, [], {}, (), "", 0, 0.0, False], ids=repr)
async def test_footgun_33_nothing_is_a_value(cache: YokedCache, value: Any) -> None:
    runs: list[int] = []

    @cached(cache=cache, ttl=60)
    def blocking() -> Any:
        runs.append(1)
        return value

    @cached(cache=cache, ttl=60)
    async def waiting() -> Any:
        runs.append(1)
        return value

    for _ in range(3):
        assert blocking() == await waiting() == value
    assert len(runs) == 2
    await cache.set("key", value)
    assert await cache.exists("key")
    assert await cache.get("key", default="missing") == value


class Colour(Enum):
    RED = "red"


VALUES = [
    (1, "two", (3.0,)),
    {1, 2},
    frozenset({"a"}),
    Decimal("1.10"),
    dt.date(2024, 2, 29),
    dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
    dt.timedelta(days=1),
    uuid.UUID(int=7),
    Colour.RED,
    b"bytes",
    {1: "int key", "1": "str key", (1, 2): "tuple key"},
    [{"a": (1, {2})}, Decimal(0)],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_footgun_34_types_do_not_drift(cache: YokedCache, value: Any) -> None:
    @cached(cache=cache, ttl=60)
    def give() -> Any:
        return value

    give()
    assert give.peek() == value
    await cache.set("key", value)
    for found in (give(), await cache.get("key")):
        assert found == value
        assert type(found) is type(value)
        assert repr(found) == repr(value)


def test_footgun_35_callers_do_not_share_mutable_values(cache: YokedCache) -> None:
    source = {"list": [1, {"deep": [2]}], "set": {3}}

    @cached(cache=cache, ttl=60)
    def give() -> Any:
        return source

    def spoil(value: Any) -> None:
        value["list"][1]["deep"].append("spoilt")
        value["set"].add("spoilt")
        value["new"] = 1

    clean = {"list": [1, {"deep": [2]}], "set": {3}}
    spoil(give())  # the caller that loaded it has the object itself
    assert give() == clean
    spoil(give())
    assert give() == clean
    mine = {"deep": [1]}
    cache.sync.set("key", mine)
    mine["deep"].append(2)
    cache.sync.get("key")["deep"].append(3)
    assert cache.sync.get("key") == {"deep": [1]}


async def test_footgun_36_warming_warms_what_is_called(cache: YokedCache) -> None:
    runs: list[Any] = []

    @cached(cache=cache, ttl=60)
    async def find(number: int, *, deep: bool = False) -> int:
        runs.append((number, deep))
        return number

    calls = [(1,), {"number": 2}, find.call(3, deep=True), find.call(number=1)]
    assert await find.warm(calls) == 3
    assert runs == [(1, False), (2, False), (3, True)]
    assert [await find(1), await find(number=2), await find(3, deep=True)] == [1, 2, 3]
    assert len(runs) == 3
    assert await find.warm(calls) == 0


def test_footgun_37_cached_without_a_cache_caches() -> None:
    runs: list[int] = []

    @cached(ttl=60)
    def bare() -> int:
        runs.append(1)
        return 1

    @cached
    def barest() -> int:
        runs.append(2)
        return 2

    assert [bare(), bare(), barest(), barest()] == [1, 1, 2, 2]
    assert runs == [1, 2]
    bare.handle.core.machine.close()  # type: ignore[attr-defined]


def test_footgun_38_falsy_arguments_and_options_count(cache: YokedCache) -> None:
    @cached(cache=cache, ttl=60)
    def find(user_id: Any = None) -> str:
        return repr(user_id)

    values = (0, None, False, "", 0.0, b"", (), 1)
    for _ in range(2):
        assert [find(value) for value in values] == list(map(repr, values))
        assert find() == "None"
    assert cache.stats().entries == len(values)
    for ttl in (0, "0s", -1):
        with pytest.raises(DurationError):
            cached(cache=cache, ttl=ttl)(lambda: None)
        with pytest.raises(DurationError):
            cache.sync.set("key", 1, ttl=ttl)
        with pytest.raises(DurationError):
            cached_dependency(lambda: None, cache=cache, ttl=ttl)
        with pytest.raises(DurationError):
            YokedCache(ttl=ttl)

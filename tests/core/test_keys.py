"""
Different arguments never share a key; equal ones of the same types always do.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import operator
import re
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from tests.strategies import (
    Box,
    Colour,
    Point,
    Right,
    Seal,
    exactly,
    small_values,
    values,
)
from yokedcache.core import ignored, kinds
from yokedcache.core.keys import (
    canonical,
    exact_key,
    instance_key,
    is_ignored,
    register_canonical,
    register_ignored,
)
from yokedcache.errors import KeyArgumentError


class Text(str):
    __slots__ = ("lang",)


class Repository:
    def __init__(self, session: Any, **attributes: Any) -> None:
        self.session = session
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("_tenant", "empty", "session")

    def __init__(self, tenant: object, session: object = None) -> None:
        self._tenant = tenant
        self.session = session


class Lazy:
    def __init__(self, number: int) -> None:
        self.number = number

    @functools.cached_property
    def square(self) -> int:
        return self.number**2


class Speaking:
    def __init__(self, word: object) -> None:
        self.word = word
        self.noise = object()

    def __cache_key__(self) -> object:
        return self.word


class SpeakingToo(Speaking):
    pass


@dataclass
class WithSession:
    user: int
    session: object


@given(small_values, small_values)
def test_keys_are_equal_exactly_if_values_are(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) is exactly(one, other)


@given(values, values)
def test_keys_of_all_kinds(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) is exactly(one, other)


@given(small_values, small_values, small_values, small_values)
def test_forms_side_by_side_do_not_run_together(a: Any, b: Any, c: Any, d: Any) -> None:
    same = exactly(a, c) and exactly(b, d)
    assert (canonical(a) + canonical(b) == canonical(c) + canonical(d)) is same


ALIKE: list[Any] = [
    *(1, True, 1.0, "1", b"1", 1 + 0j, bytearray(b"1"), Decimal(1), Decimal("1.0")),
    *(0.0, -0.0, None, "None", "", (), [], {}, set(), frozenset(), (None,), [()]),
    *((1, 2), [1, 2], {1, 2}, frozenset({1, 2}), {1: 2}, {2: 1}, ((1,), 2), (1, (2,))),
    *(
        ("a", "bc"),
        ("ab", "c"),
        ("abc",),
        "x:y",
        ("x", "y"),
        ["1:x"],
        "\ud800",
        "\udc00",
    ),
    datetime(2020, 1, 1, 12, tzinfo=timezone.utc),  # noqa: UP017
    datetime(2020, 1, 1, 13, tzinfo=timezone(timedelta(hours=1))),
    datetime(2020, 1, 1, 13, tzinfo=ZoneInfo("Europe/Paris")),
    datetime(2020, 1, 1, 13, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2020, 1, 1, 13),  # noqa: DTZ001
    datetime(2020, 1, 1, 13, fold=1),  # noqa: DTZ001
    *(Colour.RED, Colour.GREEN, Right.READ, Right.WRITE, Right.READ | Right.WRITE),
    *(
        Point(1, 2),
        Seal(1),
        Seal(1, "1"),
        Box("1"),
        Text("1"),
        defaultdict(list),
        defaultdict(set),
    ),
    *(
        range(3),
        range(0, 3, 2),
        slice(3),
        slice(0, 3),
        Path("a"),
        PurePosixPath("a"),
        "a",
    ),
    *(
        re.compile("a"),
        re.compile("a", re.IGNORECASE),
        re.compile(b"a"),
        int,
        bool,
        Point,
        len,
    ),
    operator.add,
    *(functools.partial(int, "1"), functools.partial(int, "1", base=2)),
    *(ipaddress.ip_address("10.0.0.1"), ipaddress.ip_interface("10.0.0.1")),
    *(Speaking(1), Speaking("1"), SpeakingToo(1)),
]


def test_values_that_look_alike_have_different_keys() -> None:
    forms = [canonical(value) for value in ALIKE]
    assert len(set(forms)) == len(forms)


def test_order_counts_where_it_is_part_of_the_value_only() -> None:
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    assert canonical({8, 0, 16}) == canonical({16, 8, 0})
    assert canonical([1, 2]) != canonical([2, 1])


def test_text_of_another_class_counts_its_attributes() -> None:
    one, other = Text("a"), Text("a")
    one.lang, other.lang = "en", "fr"
    assert canonical(one) != canonical(other)


def test_huge_ints_have_keys() -> None:
    assert canonical(10**5000) != canonical(10**5000 + 1)


def _local_function() -> Any:
    def inner() -> None: ...

    return inner


def _local_class() -> type:
    class Inner: ...

    return Inner


@pytest.mark.parametrize(
    ("culprit", "type_"),
    [
        (object(), "object"),
        (lambda: 1, "function"),
        (_local_function(), "function"),
        (memoryview(b"x"), "memoryview"),
        ((x for x in ()), "generator"),
        (functools.partial(lambda: 1), "function"),
    ],
)
def test_what_has_no_form_is_refused(culprit: Any, type_: str) -> None:
    with pytest.raises(KeyArgumentError) as caught:
        canonical(culprit)
    assert caught.value.type == type_
    assert "key" in str(caught.value)


def test_refusals_name_the_path_and_the_way_out() -> None:
    box = Box("b", {"user": [1, Box("c", object())]})
    with pytest.raises(KeyArgumentError) as caught:
        canonical((box,), name="args")
    assert caught.value.path == "args[0].content['user'][1].content"
    assert "__cache_key__" in str(caught.value)


def test_circles_and_depth_are_refused() -> None:
    circle: list[Any] = []
    circle.append({"again": circle})
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (circle, deep):
        with pytest.raises(KeyArgumentError, match="contains itself"):
            canonical(value)


def test_what_is_shared_over_and_over_is_refused_in_time() -> None:
    value: Any = ()
    for _ in range(60):
        value = (value, value)
    with pytest.raises(KeyArgumentError, match="parts"):
        canonical(value)


def test_a_nearly_full_stack_gives_our_error() -> None:
    def descend(left: int) -> bytes:
        return descend(left - 1) if left else canonical([[[[[[[[[[1]]]]]]]]]])

    met = set()
    for left in range(sys.getrecursionlimit()):
        try:
            descend(left)
        except KeyArgumentError:
            met.add("ours")
        except RecursionError:
            break
    assert met == {"ours"}


def test_sessions_and_their_like_are_ignored() -> None:
    alchemy = pytest.importorskip("sqlalchemy")
    orm = pytest.importorskip("sqlalchemy.orm")
    engine = alchemy.create_engine("sqlite://")
    with orm.Session(engine) as session:
        assert is_ignored(session)
        assert canonical(WithSession(1, session)) != canonical(WithSession(2, session))
        with orm.Session(engine) as other:
            assert canonical(WithSession(1, session)) == canonical(
                WithSession(1, other)
            )
    assert is_ignored(engine)
    assert is_ignored(orm.sessionmaker())
    assert is_ignored(orm.scoped_session(orm.sessionmaker()))
    engine.dispose()


def test_loggers_and_locks_are_ignored_and_plain_values_are_not() -> None:
    assert is_ignored(logging.getLogger(__name__))
    assert is_ignored(threading.Lock())
    assert is_ignored(threading.RLock())
    assert not any(is_ignored(value) for value in (1, "a", None, Box("b"), object()))


def test_names_of_ignored_classes_lead_to_classes() -> None:
    for module, names in {
        "sqlalchemy.ext.asyncio": ("AsyncSession", "AsyncEngine", "AsyncConnection"),
        "sqlalchemy": ("Engine", "Connection"),
        "starlette.requests": ("Request", "HTTPConnection"),
        "starlette.websockets": ("WebSocket",),
        "starlette.background": ("BackgroundTasks",),
        "starlette.responses": ("Response", "JSONResponse"),
        "httpx": ("Client", "AsyncClient"),
        "redis": ("Redis",),
        "redis.asyncio": ("Redis",),
        "requests": ("Session",),
        "flask": ("Request",),
    }.items():
        try:
            found = __import__(module, fromlist=names)
        except ImportError:
            continue
        for name in names:
            assert ignored.is_ignored_class(getattr(found, name)), (module, name)


class Means:
    pass


class MoreMeans(Means):
    pass


def test_classes_can_be_ignored_by_class_or_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ignored, "_NAMES", set(ignored._NAMES))
    monkeypatch.setattr(ignored, "_TYPES", set())
    monkeypatch.setattr(ignored, "_known", {})
    assert not is_ignored(Means())
    register_ignored(MoreMeans)
    assert is_ignored(MoreMeans())
    assert not is_ignored(Means())
    register_ignored(f"{Means.__module__}.Means")
    assert is_ignored(Means())


class Entity:
    def __init__(self, number: int) -> None:
        self.number = number


def test_classes_can_be_given_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_registered", [])
    with pytest.raises(KeyArgumentError):
        canonical(Entity(1))
    register_canonical(
        lambda cls: hasattr(cls, "number") or cls is Entity, lambda e: e.number
    )
    try:
        assert canonical(Entity(1)) == canonical(Entity(1))
        assert len({canonical(Entity(1)), canonical(Entity(2)), canonical(1)}) == 3
    finally:
        kinds.forget()


def test_instances_share_by_class_and_state() -> None:
    one, other = threading.Lock(), threading.Lock()
    key = instance_key(Repository(one, tenant=1))
    assert key == instance_key(Repository(other, tenant=1))
    assert key != instance_key(Repository(one, tenant=2))
    assert key != instance_key(Repository(one, tenant=True))
    assert key != instance_key(Repository(one, tenant=1, _hidden=0))
    assert instance_key(Slotted("a")) != instance_key(Slotted("b"))
    assert instance_key(Slotted("a")) != instance_key(Slotted(None))


def test_computed_attributes_do_not_change_an_instance_key() -> None:
    lazy = Lazy(3)
    before = instance_key(lazy)
    assert lazy.square == 9
    assert instance_key(lazy) == before
    assert instance_key(Lazy(4)) != before


def test_instances_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(KeyArgumentError, match="__cache_key__") as caught:
        instance_key(Repository(None, helper=object()))
    assert caught.value.path == "self.helper"


def test_classes_of_one_name_are_told_apart() -> None:
    first, second = _local_class(), _local_class()
    assert first.__qualname__ == second.__qualname__
    assert instance_key(first()) == instance_key(first())
    assert instance_key(first()) != instance_key(second())
    assert canonical(first) != canonical(second)
    records = dataclass(_local_class()), dataclass(_local_class())
    assert canonical(records[0]()) == canonical(records[0]())
    assert canonical(records[0]()) != canonical(records[1]())


def test_an_instance_may_speak_for_itself() -> None:
    assert instance_key(Speaking(1)) == instance_key(Speaking(1))
    assert instance_key(Speaking(1)) != instance_key(SpeakingToo(1))
    with pytest.raises(KeyArgumentError, match=r"__cache_key__\(\)"):
        canonical(Speaking(object()))


@given(small_values, small_values)
def test_exact_keys_tell_apart_what_canonical_does(one: Any, other: Any) -> None:
    same = canonical(one) == canonical(other)
    assert (exact_key((one,)) == exact_key((other,))) is same
    assert (exact_key((one, 1)) == exact_key((other, 1))) is same


def test_exact_keys_of_simple_arguments_are_tuples() -> None:
    assert exact_key((1, "a")) == (1, "a", int, str)
    keys = {exact_key((1,)), exact_key((True,)), exact_key(("1",)), exact_key((1, int))}
    assert len(keys) == 4

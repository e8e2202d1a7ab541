"""
What went in comes out equal and of the same type, or it wasn't stored.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import math
import threading
from dataclasses import dataclass, make_dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import Box, Colour, Point, Right, Seal, exactly, values
from yokedcache.codec import Codec, extensions, frame
from yokedcache.codec.extensions import register_extension
from yokedcache.codec.msgpack import MessagePackCodec
from yokedcache.codec.registry import codec_named, dump, load, register_codec
from yokedcache.core.classes import name_of
from yokedcache.errors import PayloadError, SettingsError, ValueNotStorableError

CODEC = MessagePackCodec()


@dataclass
class Lazy:
    number: int

    @functools.cached_property
    def square(self) -> int:
        return self.number**2


@dataclass
class Counted:
    made = 0
    number: int

    def __post_init__(self) -> None:
        Counted.made += 1


class Driver(UUID):
    pass


class SubDict(dict[Any, Any]):
    pass


class Loose(Point):
    """Has a `__dict__`, unlike its base."""


class Odd(tzinfo):
    def utcoffset(self, _moment: object) -> timedelta:
        return timedelta(0)


@given(values)
def test_round_trips_are_exact(value: Any) -> None:
    assert exactly(CODEC.decode(CODEC.encode(value)), value)
    assert exactly(load(dump(value)), value)


@pytest.mark.parametrize(
    "value",
    [
        *(
            2**63,
            2**64 - 1,
            2**64,
            -(2**63),
            -(2**63) - 1,
            7**900,
            math.nan,
            -0.0,
            math.inf,
        ),
        *("\ud800", "a\udfffé", ["\ud800", b"\xff"], {"\ud800": ("\udc00",)}),
        *(
            {1: 1, "1": 2, (1, 2): 3, None: 4, 2.5: 5, Colour.RED: 6, Seal(1): 7},
            {b"a": {}},
        ),
        *(
            Right.READ | Right.WRITE,
            Right(0),
            Driver(int=5),
            Decimal("sNaN12"),
            msgpack.ExtType(1, b"x"),
        ),
        *(
            datetime(1, 1, 1),  # noqa: DTZ001
            datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-23))),
        ),
        *(
            Box("b", (Box("c"), [Seal(1)])),
            Point({1}, frozenset({(1,)})),
            bytearray(b"x"),
        ),
    ],
)
def test_edges(value: Any) -> None:
    assert exactly(CODEC.decode(CODEC.encode(value)), value)


def test_order_of_dicts_is_kept() -> None:
    value = {"b": 1, "a": (2,), 3: 3}
    assert list(CODEC.decode(CODEC.encode(value))) == ["b", "a", 3]  # type: ignore[call-overload]


def test_instances_are_built_without_running_their_code() -> None:
    data = CODEC.encode(Counted(1))
    before = Counted.made
    assert CODEC.decode(data).number == 1  # type: ignore[attr-defined]
    assert Counted.made == before


def test_computed_attributes_are_left_out() -> None:
    lazy = Lazy(3)
    assert lazy.square == 9
    found = CODEC.decode(CODEC.encode(lazy))
    assert found == lazy
    assert "square" not in vars(found)


def _local() -> Any:
    @dataclass
    class Local:
        a: int = 1

    class Shade(enum.Enum):
        DARK = 1

    return Local(), Shade.DARK


def _extra() -> Any:
    box = Box("b")
    box.more = 1  # type: ignore[attr-defined]
    loose = Loose(1, 2)
    loose.more = 1  # type: ignore[attr-defined]
    return box, loose


@pytest.mark.parametrize(
    "value",
    [
        *(
            SubDict(a=1),
            memoryview(b"x"),
            object(),
            len,
            int,
            threading.Lock(),
            Path("a"),
        ),
        *(msgpack.Timestamp(1), make_dataclass("Made", ["a"])(1), *_local(), *_extra()),
        *(iter([]), datetime(2020, 1, 1, tzinfo=Odd()), lambda: 1, ValueError("x")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_exact_form_is_refused(value: Any) -> None:
    for wrapped in (value, [value], {"a": (1, value)}):
        with pytest.raises(ValueNotStorableError):
            CODEC.encode(wrapped)


def test_refusals_name_type_and_path() -> None:
    with pytest.raises(ValueNotStorableError) as caught:
        CODEC.encode({"rows": [1, object()]})
    assert caught.value.path == "result['rows'][1]"
    assert caught.value.type == "object"


def test_circles_and_depth_are_refused() -> None:
    circle: list[Any] = []
    circle.append((circle,))
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    for value in (circle, deep):
        with pytest.raises(ValueNotStorableError):
            CODEC.encode(value)


@given(st.binary(max_size=100))
def test_any_bytes_give_a_value_or_a_payload_error(data: bytes) -> None:
    with contextlib.suppress(PayloadError):
        CODEC.decode(data)


@given(values, st.data())
def test_damaged_payloads_give_a_value_or_a_payload_error(
    value: Any, data: st.DataObject
) -> None:
    payload = bytearray(CODEC.encode(value))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PayloadError):
        CODEC.decode(bytes(payload))


@pytest.mark.parametrize("code", [30, 31, 32, 33, 34, 35])
@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "subprocess:Popen",
        "builtins:eval",
        "builtins:int",
        "no.such:Thing",
        "antigravity:x",
        5,
    ],
)
def test_only_classes_of_the_right_kind_are_built(code: int, name: object) -> None:
    inner = msgpack.packb([name, {"args": "x"}, ["x"], {}, None])
    for parts in (inner, msgpack.packb([name, "x"]), msgpack.packb([name, {}])):
        with pytest.raises(PayloadError):
            CODEC.decode(msgpack.packb(msgpack.ExtType(code, parts)))


def test_nothing_is_imported_on_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = CODEC.encode(Seal(1))
    monkeypatch.delitem(__import__("sys").modules, Seal.__module__)
    with pytest.raises(PayloadError, match="isn't here"):
        CODEC.decode(data)


def test_other_fields_after_a_deploy_are_a_miss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = CODEC.encode([Seal(1)])
    other = make_dataclass("Seal", ["number", "text", "since"], frozen=True)
    monkeypatch.setattr(__import__("sys").modules[Seal.__module__], "Seal", other)
    with pytest.raises(PayloadError, match="fields"):
        CODEC.decode(data)


def test_the_deepest_that_is_stored_is_read() -> None:
    value: Any = ()
    while True:
        try:
            data = CODEC.encode((value,))
        except ValueNotStorableError:
            break
        assert exactly(CODEC.decode(data), (value,))
        value = (value,)


def test_deeply_nested_extensions_are_a_payload_error() -> None:
    payload = msgpack.packb(1)
    for _ in range(3000):  # ran over the C stack once
        payload = msgpack.packb(msgpack.ExtType(1, payload))
    with pytest.raises(PayloadError, match="deeper"):
        CODEC.decode(payload)


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)


def test_types_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_extensions", {})
    register_extension(
        Money, "money", lambda money: (money.cents,), lambda parts: Money(*parts)
    )
    try:
        value = {"price": [Money(5)], Money(6): 1}
        data = CODEC.encode(value)
        assert CODEC.decode(data) == value
        with pytest.raises(SettingsError, match="registered already"):
            register_extension(Money, "money", str, str)
    finally:
        extensions.kind_of_class.cache_clear()
        extensions._extensions.clear()
    with pytest.raises(PayloadError, match="money"):
        CODEC.decode(data)


def test_codes_of_extensions_are_used_once() -> None:
    codes = [kind.code for kind in extensions._BY_CLASS.values()]
    shared = {15, 18}  # time zones, addresses: one form for several classes
    assert all(codes.count(code) == 1 for code in codes if code not in shared)
    assert len({kind.code for _, kind in extensions._RECORDS} | set(codes)) == 24


def test_pydantic_models() -> None:
    from tests.codec.models import Model

    model = Model(parts=[1], more=(2,))
    model._private.append(3)
    found: Any = CODEC.decode(CODEC.encode({"m": [model]}))["m"][0]  # type: ignore[index]
    assert found == model
    assert found.model_fields_set == {"parts", "more"}
    assert exactly(found.more, (2,))
    assert found._private == [3]


def test_structs_and_attrs() -> None:
    pytest.importorskip("msgspec")
    pytest.importorskip("attrs")
    from tests.codec.models import Attrs, Changing, Struct

    for value in (Struct(1, (2,)), Attrs(1, {2})):
        found = CODEC.decode(CODEC.encode(value))
        assert found == value
        assert type(found) is type(value)
    with pytest.raises(ValueNotStorableError, match="__post_init__"):
        CODEC.encode(Changing(1))


def test_names_lead_to_the_very_thing() -> None:
    assert name_of(Seal) == f"{Seal.__module__}:Seal"
    assert name_of(_local()[0].__class__) is None
    assert name_of(make_dataclass("Seal", [])) is None


def test_registry() -> None:
    assert isinstance(CODEC, Codec)
    assert codec_named("msgpack").name == "msgpack"
    with pytest.raises(SettingsError, match="msgpack"):
        codec_named("pickle")
    with pytest.raises(SettingsError, match="128"):
        register_codec(1, CODEC)
    with pytest.raises(SettingsError, match="taken"):
        register_codec(200, CODEC)
    with pytest.raises(PayloadError, match="codec 200"):
        load(frame.pack(b"\xc0", codec=200))
    with pytest.raises(PayloadError, match="flags"):
        load(frame.pack(b"\xc0", flags=frame.SIGNED))

"""
Nobody who got a value can change what is cached, and nothing else is lost.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given

from tests.strategies import Box, Colour, Point, Seal, exactly, values
from yokedcache.core import copiers
from yokedcache.core.copiers import copy_tree
from yokedcache.core.values import isolate, register_isolation, weigh
from yokedcache.errors import ValueNotStorableError

MUTABLE = (list, dict, set, bytearray, deque, Box)


class Plain:
    def __init__(self, content: Any) -> None:
        self.content = content


@dataclass
class Lazy:
    number: int

    @functools.cached_property
    def squares(self) -> list[int]:
        return [self.number**2]


@dataclass(slots=True)
class Slotted:
    parts: list[int] = field(default_factory=list)


def mutable_ids(value: Any, found: set[int] | None = None) -> set[int]:
    """
    Collect the ids of all parts that can change.
    """
    found = set() if found is None else found
    if isinstance(value, MUTABLE):
        if id(value) in found:
            return found
        found.add(id(value))
    if isinstance(value, dict):
        for part in (*value.keys(), *value.values()):
            mutable_ids(part, found)
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        for part in value:
            mutable_ids(part, found)
    elif isinstance(value, (Box, Plain)):
        mutable_ids(vars(value), found)
        found.discard(id(vars(value)))
    return found


@given(values)
def test_copies_are_exact_and_independent(value: Any) -> None:
    before = copy.deepcopy(value)
    value_, copier = isolate(value)
    assert exactly(value_, before)
    if copier is None:
        assert value_ is value
        assert not mutable_ids(value)
        return
    one, other = copier(value_), copier(value_)
    assert exactly(one, before)
    assert exactly(other, before)
    ids = [mutable_ids(each) for each in (value, value_, one, other)]
    assert len(set().union(*ids)) == sum(map(len, ids))


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            1,
            "a",
            b"bytes",
            Colour.RED,
            (1, ("a", None)),
            frozenset({1}),
            range(3),
        ),
        *(Point(1, "a"), Seal(1), Point(Seal(1), Seal(1)), int, len, Path("a"), ...),
    ],
)
def test_immutable_values_are_shared(value: Any) -> None:
    isolated = isolate(value)
    assert isolated.value is value
    assert isolated.copier is None


def test_flat_values_are_copied_by_c() -> None:
    assert isolate({"a": 1, "b": None}).copier is dict.copy
    assert isolate([1, "a"]).copier is list.copy
    assert isolate({"a": []}).copier not in (None, dict.copy)
    assert isolate({"a": (1, [])}).copier not in (None, dict.copy)


@pytest.mark.parametrize(
    "value",
    [
        *([[1], [2]], {"a": {"b": [1]}}, ([1],), [{"a": 1}, {"a": 2}], [({"a": 1},)]),
        *(OrderedDict(b=[1], a=2), deque([[1]], 3), bytearray(b"ab"), {1, 2}),
        *(
            defaultdict(list, a=[1]),
            Counter("aab"),
            Point(1, [2]),
            Box("b", [Box("c")]),
        ),
        *(Slotted([1]), [Slotted([1])], [Seal(1), [2]], [Point(1, 2)], {Seal(1): [1]}),
    ],
)
def test_kinds_of_mutable_values(value: Any) -> None:
    isolated = isolate(value)
    assert isolated.value is not value
    assert isolated.copier is not None
    made = isolated.copier(isolated.value)
    assert made is not isolated.value
    assert made == value
    assert type(made) is type(value)


def test_details_of_containers_survive() -> None:
    made = _through(defaultdict(list, a=[1]))
    assert made["new"] == []
    assert _through(deque([[1]], 3)).maxlen == 3
    assert list(_through(OrderedDict(b=[1], a=[2]))) == ["b", "a"]


def _through(value: Any) -> Any:
    isolated = isolate(value)
    return isolated.copier(isolated.value) if isolated.copier else isolated.value


def test_shared_parts_stay_shared_and_circles_closed() -> None:
    part = [1]
    one, other = _through([part, part])
    assert one is other
    assert one is not part
    row = {"a": 1}
    rows = _through([row, row])
    assert rows[0] is rows[1]
    circle: list[Any] = []
    circle.append(circle)
    made = _through(circle)
    assert made[0] is made
    assert made is not circle


def test_parts_shared_with_an_unknown_object_stay_shared() -> None:
    part = [1]
    made = _through({"plain": Plain(part), "part": part})
    assert made["plain"].content is made["part"]
    assert made["part"] is not part


def test_computed_attributes_are_not_shared() -> None:
    lazy = Lazy(3)
    lazy.squares.append(0)
    made = _through(lazy)
    assert made == lazy
    assert made.squares is not lazy.squares


def test_deep_values_are_refused_rather_than_crash() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueNotStorableError, match="deep"):
        isolate(deep)


async def _coroutine() -> None: ...


def test_what_belongs_to_the_moment_is_refused(tmp_path: Path) -> None:
    coroutine = _coroutine()
    with (tmp_path / "file").open("w") as file:
        momentary: list[Any] = [
            *(iter([]), (x for x in ()), map(str, []), coroutine, file, sys),
            *(threading.Lock(), asyncio.Lock(), memoryview(b"x"), {}.keys()),
        ]
        for value in momentary:
            for wrapped in (
                value,
                [1, value],
                {"a": (value,)},
                Plain(value),
                Box("", value),
            ):
                with pytest.raises(ValueNotStorableError) as caught:
                    isolate(wrapped)
                assert "result" in caught.value.path
    coroutine.close()


def test_refusals_name_type_and_path() -> None:
    with pytest.raises(ValueNotStorableError) as caught:
        isolate({"rows": [1, Box("b", iter([]))]})
    assert caught.value.path == "result['rows'][1].content"
    assert caught.value.type == "list_iterator"


def test_sqlalchemy_results_and_entities_are_refused() -> None:
    alchemy = pytest.importorskip("sqlalchemy")
    orm = pytest.importorskip("sqlalchemy.orm")

    class User(orm.declarative_base()):  # type: ignore[misc]
        __tablename__ = "users"
        id = alchemy.Column(alchemy.Integer, primary_key=True)

    engine = alchemy.create_engine("sqlite://")
    with orm.Session(engine) as session:
        result = session.execute(alchemy.text("select 1 as a"))
        for value in (
            session,
            session.query(User),
            result,
            result.scalars(),
            [User(id=1)],
        ):
            with pytest.raises(ValueNotStorableError):
                isolate(value)
        rows = session.execute(alchemy.text("select 1 as a, 'x' as b")).all()
        made = _through(rows)
        assert made == rows
        assert made[0].b == "x"
    engine.dispose()


class Stubborn:
    def __deepcopy__(self, memo: object) -> NoReturn:
        raise ZeroDivisionError("no copies of me")


def test_a_failing_copy_is_a_refusal() -> None:
    with pytest.raises(ValueNotStorableError, match="no copies of me") as caught:
        isolate([Stubborn()])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


class Entity:
    def __init__(self, number: int) -> None:
        self.number = number
        self.copied = 0

    def clone(self) -> Entity:
        made = Entity(self.number)
        made.copied = self.copied + 1
        return made


def test_classes_can_be_given_copiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copiers, "_custom", [])
    register_isolation(Entity, Entity.clone)
    try:
        tree = isolate([Entity(1), Entity(2)])
        assert [each.copied for each in tree.value] == [1, 1]
        assert tree.copier is copy_tree
        assert [each.copied for each in tree.copier(tree.value)] == [2, 2]
        one = Entity(1)
        made = _through({"a": one, "b": [one], "c": Plain(one)})
        assert made["a"] is made["b"][0] is made["c"].content
        assert made["a"].copied == 2
    finally:
        copiers.custom_copier.cache_clear()
        copiers._copiers_learnt.clear()


def test_models_of_libraries() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):  # type: ignore[misc]
        model_config = pydantic.ConfigDict(extra="allow")
        parts: list[int]
        _private: list[int] = pydantic.PrivateAttr(default_factory=list)

    model = Model(parts=[1], more=[2])
    model._private.append(3)
    for value in (model, [model]):
        made = _through(value)
        assert made == value
    made = _through(model)
    assert made.model_fields_set == {"parts", "more"}
    for name in ("parts", "more", "_private"):
        assert getattr(made, name) == getattr(model, name)
        assert getattr(made, name) is not getattr(model, name)


def test_attrs_and_structs() -> None:
    attrs = pytest.importorskip("attrs")
    msgspec = pytest.importorskip("msgspec")

    @attrs.define
    class Attrs:
        parts: list[int]

    @attrs.frozen(cache_hash=True)
    class Hashed:
        parts: tuple[int, ...]

    class Struct(msgspec.Struct):  # type: ignore[misc]
        parts: list[int]

    class Frozen(msgspec.Struct, frozen=True):  # type: ignore[misc]
        parts: Any

    for value in (Attrs([1]), Struct([1]), Frozen([1])):
        made = _through(value)
        assert made == value
        assert made.parts is not value.parts
    frozen = Frozen(1)
    assert isolate(frozen).value is frozen
    hashed = Hashed((1,))
    assert hash(_through([hashed])[0]) == hash(hashed)


def test_weights_grow_with_values() -> None:
    assert weigh("x" * 10_000) >= 10_000
    row = {"id": 1, "text": "x" * 1000}
    one, many = weigh([row]), weigh([dict(row) for _ in range(1000)])
    assert one > 1000
    assert 500 * one < many < 1500 * one
    assert weigh(Box("b", "x" * 1000)) > 1000
    assert weigh(Seal(1, "x" * 1000)) > 1000


@given(values)
def test_everything_has_a_weight(value: Any) -> None:
    assert weigh(value) > 0


def test_weighing_is_bounded() -> None:
    circle: list[Any] = []
    circle.extend([circle] * 1000)
    looked = 0

    class Counted(list[Any]):
        def __sizeof__(self) -> int:
            nonlocal looked
            looked += 1
            return 100

    big = Counted(Counted([Counted([Counted()] * 100)] * 100) for _ in range(10_000))
    assert weigh(circle) > 0
    assert weigh(big) > 1_000_000
    assert looked < 2000

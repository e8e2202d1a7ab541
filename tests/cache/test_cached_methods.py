"""
`@cached` in classes: what an instance adds to the key.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import MISS, YokedCache, cached
from yokedcache.errors import KeyArgumentError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.support.databases import Blog

runs: list[Any] = []


@pytest.fixture(autouse=True)
def no_runs() -> None:
    runs.clear()


def shop(cache: YokedCache) -> Any:
    class Shop:
        tax = 2

        def __init__(self, name: str) -> None:
            self.name = name

        @cached(cache=cache)
        def price(self, item: str) -> str:
            runs.append(item)
            return f"{item} of {self.name}"

        @cached(cache=cache)
        async def price_later(self, item: str) -> str:
            runs.append(item)
            return f"{item} of {self.name}"

        @cached(cache=cache)
        @classmethod
        def kind(cls, item: str) -> str:
            runs.append(item)
            return f"{item} of {cls.__name__}"

        @classmethod
        @cached(cache=cache)
        def kind_inside(cls, item: str) -> str:
            runs.append(item)
            return f"{item} of {cls.__name__}"

        @cached(cache=cache)
        @staticmethod
        def plain(item: str) -> str:
            runs.append(item)
            return item

        @staticmethod
        @cached(cache=cache)
        def plain_inside(item: str) -> str:
            runs.append(item)
            return item

    return Shop


async def test_methods_are_told_by_their_instances_attributes(
    cache: YokedCache,
) -> None:
    shop_class = shop(cache)
    one, twin, other = shop_class("one"), shop_class("one"), shop_class("other")
    assert one.price("nut") == twin.price("nut") == "nut of one"
    assert other.price("nut") == "nut of other"
    assert shop_class.price(one, "nut") == "nut of one"
    assert runs == ["nut", "nut"]
    assert await one.price_later("nut") == await twin.price_later("nut")
    assert await other.price_later("nut") == "nut of other"
    assert len(runs) == 4
    one._secret = 1
    assert one.price("nut") == "nut of one"
    assert len(runs) == 5


@pytest.mark.parametrize("name", ["kind", "kind_inside"])
def test_class_methods_are_told_by_their_class(cache: YokedCache, name: str) -> None:
    shop_class = shop(cache)
    sub = type("Sub", (shop_class,), {})
    for _ in range(2):
        assert getattr(shop_class, name)("nut") == "nut of Shop"
        assert getattr(shop_class("one"), name)("nut") == "nut of Shop"
        assert getattr(sub, name)("nut") == "nut of Sub"
    assert runs == ["nut", "nut"]


@pytest.mark.parametrize("name", ["plain", "plain_inside"])
def test_static_methods_are_told_by_nothing(cache: YokedCache, name: str) -> None:
    shop_class = shop(cache)
    for holder in (shop_class, shop_class("one"), shop_class("other")):
        assert getattr(holder, name)("nut") == "nut"
    assert runs == ["nut"]


async def test_handles_of_bound_methods(cache: YokedCache) -> None:
    shop_class = shop(cache)
    one, other = shop_class("one"), shop_class("other")
    assert one.price.peek("nut") is MISS
    one.price("nut"), other.price("nut")
    assert one.price.peek("nut") == "nut of one"
    assert one.price.key("nut") == shop_class("one").price.key("nut")
    assert one.price.key("nut") != other.price.key("nut")
    assert one.price.invalidate("nut") is True
    assert one.price.peek("nut") is MISS
    assert other.price.peek("nut") == "nut of other"
    assert one.price.refresh("nut") == one.price.uncached("nut") == "nut of one"
    assert one.price.warm([("pea",), {"item": "bean"}, ("nut",)]) == 2
    runs.clear()
    assert [one.price("pea"), one.price("bean")] == ["pea of one", "bean of one"]
    assert runs == []
    assert await one.price_later.warm([("pea",), one.price_later.call("bean")]) == 2
    assert one.price_later.peek("bean") == "bean of one"
    assert runs == ["pea", "bean"]


def test_methods_are_seen_for_what_they_are(cache: YokedCache) -> None:
    one = shop(cache)("one")
    assert inspect.iscoroutinefunction(one.price_later)
    assert not inspect.iscoroutinefunction(one.price)
    assert str(inspect.signature(one.price)) == "(item: 'str') -> 'str'"


def test_an_instance_may_say_itself_what_it_is(cache: YokedCache) -> None:
    class Keyed:
        def __init__(self, name: str) -> None:
            self.name = name
            self.handle = open
            self.noise = object()

        def __cache_key__(self) -> str:
            return self.name

        @cached(cache=cache)
        def read(self) -> str:
            runs.append(self.name)
            return self.name

    assert [Keyed("a").read(), Keyed("a").read(), Keyed("b").read()] == ["a", "a", "b"]
    assert runs == ["a", "b"]


def test_an_instance_that_cannot_be_told_is_refused_with_the_way_out(
    cache: YokedCache,
) -> None:
    class Holder:
        def __init__(self) -> None:
            self.thing = object()

        @cached(cache=cache)
        def read(self) -> int:
            runs.append(1)
            return 1

    with pytest.raises(KeyArgumentError, match=r"self\.thing") as caught:
        Holder().read()
    assert "__cache_key__" in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert runs == []


def test_slots_and_dataclasses_are_told_by_their_fields(cache: YokedCache) -> None:
    class Slotted:
        __slots__ = ("name",)

        def __init__(self, name: str) -> None:
            self.name = name

        @cached(cache=cache)
        def read(self) -> str:
            runs.append(self.name)
            return self.name

    @dataclasses.dataclass
    class Record:
        name: str

        @cached(cache=cache)
        def read(self) -> str:
            runs.append(self.name)
            return self.name

    for kind in (Slotted, Record):
        assert [kind(name).read() for name in ("a", "b", "a")] == ["a", "b", "a"]
    assert runs == ["a", "b", "a", "b"]


def test_subclasses_do_not_share(cache: YokedCache) -> None:
    shop_class = shop(cache)
    sub = type("Sub", (shop_class,), {})
    shop_class("one").price("nut")
    sub("one").price("nut")
    assert runs == ["nut", "nut"]


def test_sessions_of_an_instance_are_no_part_of_its_key(
    cache: YokedCache,  # first: it sees the connections that say what they read
    any_blog: Blog,
) -> None:
    class Repository:
        def __init__(self, session: Session, kind: str) -> None:
            self.session = session
            self.kind = kind

        @cached(cache=cache)
        def read(self) -> str:
            runs.append(self.kind)
            return self.kind

    for kind in ("a", "a", "b"):
        with any_blog.sessions() as session:
            assert Repository(session, kind).read() == kind
    assert runs == ["a", "b"]

"""
What may be too large to come in time is measured before it is asked for again.

By a scripted store and clock: that answers look-ups, or lets them wait in vain.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache.errors import StoreError
from yokedcache.runtime.drive import run
from yokedcache.shared.server import Server
from yokedcache.shared.suspects import LARGEST_ENTRY, MOST, Suspects
from yokedcache.stores.redis.commands import Commands
from yokedcache.stores.redis.layout import Layout

if TYPE_CHECKING:
    from yokedcache.stores.answers import Operation

LIMIT = 0.05
KEY = ("keys", "a")


class World:
    """
    A process, and the one key in its store.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.size = 0
        self.comes = False
        self.refusal = ""
        self.asked: list[str] = []
        self.commands = Commands(Layout("yc"))
        self.server: Any = Server(
            self,  # type: ignore[arg-type] - what is asked of a client here
            lambda: self.now,
            itertools.count(1).__next__,
            lease=5.0,
            limit=LIMIT,
            patience=1.0,
        )
        self.suspects = Suspects(self.server, lambda: self.now)

    def perform(self, operation: Operation[Any], limit: float) -> Any:
        self.asked.append(operation.asked)
        if operation.asked == "measure":
            if self.refusal:
                raise StoreError("it may not", refusal=self.refusal)
            return self.size
        if not self.comes:
            self.now += limit
            raise StoreError("not in time")
        return "found"

    def look(self, key: Any = KEY) -> str:
        """
        Do as a look-up does.
        """
        suspected = key in self.suspects.keys
        if suspected and run(self.suspects.measuring(key), self.server.perform):
            return "too large"
        began = self.now
        try:
            found = str(self.server.perform(self.commands.read("a")))
        except StoreError:
            return "waited" if self.suspects.failed(key, began) else "failed"
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_larger_than_any_entry_is_not_asked_for_again(world: World) -> None:
    world.size = LARGEST_ENTRY + 1
    assert [world.look() for _ in range(4)] == ["waited", *["too large"] * 3]
    assert world.asked == ["read", "measure", "measure", "measure"]
    world.size, world.comes = 100, True  # something was stored in its place
    assert world.look() == "found"
    assert not world.suspects.keys


def test_what_is_smaller_is_never_taken_for_too_large(world: World) -> None:
    world.size = LARGEST_ENTRY
    assert "too large" not in [world.look() for _ in range(20)]
    world.now += 60.0
    world.comes = True
    world.look()  # the first after an outage is answered, and others not for a second
    world.now += 2.0
    assert world.look() == "found"
    assert not world.suspects.keys


def test_what_is_known_to_be_too_large_leaves_the_last_try_to_others(
    world: World,
) -> None:
    world.size = LARGEST_ENTRY + 1
    assert [world.look(), world.look()] == ["waited", "too large"]
    for _ in range(3):
        with pytest.raises(StoreError):
            world.server.perform(world.commands.read("b"))
    assert world.server.state == "left_alone"
    world.now += 60.0
    world.comes = True
    assert world.look() == "too large"
    with pytest.raises(StoreError, match="not relied on"):  # it was answered
        world.server.perform(world.commands.read("b"))
    world.now += 2.0
    assert world.server.perform(world.commands.read("b")) == "found"


def test_sizes_that_are_told_say_nothing_of_an_outage(world: World) -> None:
    world.comes = True
    world.server.perform(world.commands.read("b"))
    world.now += 0.9  # nothing else is asked, and others give up announcing
    world.suspects.keys[KEY] = False
    world.comes = False
    assert world.look() == "waited"
    world.comes = True
    assert world.look() == "failed"
    assert world.server.state == "not_relied_on"


def test_an_outage_is_noticed_though_sizes_are_told(world: World) -> None:
    """
    As where the key's own server answers, and the one of its tags hangs.
    """
    world.size = 100
    for _ in range(10):
        world.look()
    assert world.asked.count("read") == 3
    assert world.server.state == "left_alone"
    world.now += 60.0
    world.comes = True
    assert world.look() == "failed"  # it was answered, and isn't relied on yet
    assert world.server.state == "not_relied_on"


def test_a_store_that_refuses_is_asked_again_much_later(world: World) -> None:
    world.refusal = "NOPERM"
    assert world.look() == "waited"
    assert world.look() == "waited"
    assert not world.suspects.keys
    assert world.asked == ["read", "measure", "read"]
    world.now += 61.0
    world.look()
    assert world.suspects.keys


def test_there_are_never_many(world: World) -> None:
    for number in range(3 * MOST):
        world.suspects.failed(("keys", str(number)), world.now - LIMIT)
        assert 0 < len(world.suspects.keys) <= MOST

"""
The store on a real server against a model of a few dictionaries.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

if TYPE_CHECKING:
    from tests.support.redis_faces import Face
    from yokedcache.stores.redis.results import RaisedFence, Stamp

KEYS = st.sampled_from(["k1", "k2", "k3"])
TAGS = st.lists(st.sampled_from("abc"), max_size=3, unique=True)
SOME_TAGS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)
LOST = b"lost"
"""Stands for fences that may have been lost."""


class Kept:
    """
    What the model knows of a tag: a number for each state, and who fences it.
    """

    def __init__(self, number: int, fences: set[bytes]) -> None:
        self.number = number
        self.fences = fences


class Taken:
    """
    A stamp, and what the model thinks of it.
    """

    def __init__(self, stamp: Stamp, seen: dict[str, int], *, usable: bool) -> None:
        self.stamp = stamp
        self.seen = seen
        self.usable = usable


class StoreMachine(RuleBasedStateMachine):
    """
    Leases are so long that fences for lost memory end only with the tags.
    """

    stamps = Bundle("stamps")
    fences = Bundle("fences")
    face: Face

    def __init__(self) -> None:
        super().__init__()
        self.face.server.flush()
        self.face.settle()
        self.tags: dict[str, Kept] = {}
        self.entries: dict[str, tuple[bytes, dict[str, int]]] = {}
        self.young = False
        self.numbers = itertools.count(1)
        self.given: set[bytes] = set()

    def fresh(self, name: str) -> Kept:
        """
        Give a tag a new state, making it if it isn't there.
        """
        kept = self.tags.get(name)
        if kept is None:
            kept = self.tags[name] = Kept(0, {LOST} if self.young else set())
        kept.number = next(self.numbers)
        return kept

    def never_before(self, version: bytes) -> None:
        assert version not in self.given
        self.given.add(version)

    @rule(target=stamps, names=TAGS)
    def take_stamp(self, names: list[str]) -> Taken:
        stamp = self.face.stamp(*names)
        for name in names:
            if name not in self.tags:
                self.fresh(name)
        kept = [self.tags[name] for name in names]
        usable = not any(one.fences for one in kept)
        assert (stamp.unusable is None) is usable
        self.given.update(stamp.vector.versions)
        seen = {name: self.tags[name].number for name in names}
        return Taken(stamp, seen, usable=usable)

    @rule(key=KEYS, taken=stamps, payload=st.binary(max_size=8))
    def put(self, key: str, taken: Taken, payload: bytes) -> None:
        refused = self.face.put(key, payload, taken.stamp)
        stored = taken.usable and self.holds(taken.seen)
        assert (refused is None) is stored
        if stored:
            self.entries[key] = (payload, taken.seen)

    def holds(self, seen: dict[str, int]) -> bool:
        return all(
            name in self.tags
            and self.tags[name].number == number
            and not self.tags[name].fences
            for name, number in seen.items()
        )

    def expected(self, key: str) -> bytes | None:
        payload, seen = self.entries.get(key, (b"", {"never": 0}))
        return payload if self.holds(seen) else None

    @rule(key=KEYS, names=TAGS)
    def read(self, key: str, names: list[str]) -> None:
        found: Any = self.face.read(key, *names)
        expected = self.expected(key)
        assert found == expected if expected is not None else isinstance(found, str)

    @rule(key=KEYS, names=TAGS)
    def remove(self, key: str, names: list[str]) -> None:
        expected = self.expected(key)
        removed = self.face.do(self.face.commands.remove(key, names))
        assert removed is (expected is not None)
        self.entries.pop(key, None)

    @rule(key=KEYS)
    def extend(self, key: str) -> None:
        operation = self.face.commands.extend(key, self.face.times, life=60.0)
        assert self.face.do(operation) is (self.expected(key) is not None)

    @rule(names=TAGS)
    def bump(self, names: list[str]) -> None:
        self.never_before(self.face.bump(*names))
        for name in set(names) & set(self.tags):
            self.fresh(name)

    @rule(target=fences, names=SOME_TAGS)
    def fence(self, names: list[str]) -> tuple[RaisedFence, list[str]]:
        fence = self.face.fence(*names)
        self.never_before(fence.version)
        for name in names:
            self.fresh(name).fences.add(fence.token)
        return fence, names

    @rule(raised=consumes(fences))
    def lift(self, raised: tuple[RaisedFence, list[str]]) -> None:
        fence, names = raised
        lifted = self.face.do(self.face.commands.lift(fence))
        self.never_before(lifted.version)
        missing = 0
        for name in names:
            if name not in self.tags or fence.token not in self.tags[name].fences:
                missing += 1
            if name in self.tags:
                self.fresh(name).fences.discard(fence.token)
        assert lifted.missing == missing

    @rule(raised=fences)
    def renew(self, raised: tuple[RaisedFence, list[str]]) -> None:
        fence, names = raised
        lost = 0
        for name in names:
            if name not in self.tags or fence.token not in self.tags[name].fences:
                lost += 1
                self.fresh(name).fences.add(fence.token)
        assert self.face.do(self.face.commands.renew(fence)) == lost

    @rule(raised=fences)
    def adopt_too_early(self, raised: tuple[RaisedFence, list[str]]) -> None:
        fence, names = raised
        operation = self.face.commands.adopt(names, fence.token)
        assert not any(self.face.do(operation))

    @precondition(lambda self: self.tags)
    @rule(data=st.data())
    def lose_a_tag(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.tags)))
        self.face.server.say("DEL", self.face.tag(name))
        del self.tags[name]

    @rule()
    def lose_everything(self) -> None:
        self.face.server.say("FLUSHALL")
        self.tags.clear()
        self.entries.clear()
        self.young = True

    @rule()
    def grow_old(self) -> None:
        self.face.settle()
        self.young = False

    @rule()
    def forget_scripts(self) -> None:
        self.face.server.say("SCRIPT", "FLUSH")

    @invariant()
    def every_entry_is_as_expected(self) -> None:
        for key in ("k1", "k2", "k3"):
            exists = self.face.do(self.face.commands.exists(key, ["a"]))
            assert exists is (self.expected(key) is not None)


def test_the_store_is_its_model(face: Face) -> None:
    made = type("Machine", (StoreMachine,), {"face": face})
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            suppress_health_check=[*HealthCheck],
        ),
    )

"""
Versions, fences and the pulse; what a tag costs, and when it is forgotten.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from yokedcache.core.tags import (
    Fence,
    Stamp,
    Tag,
    TagTable,
    Vector,
    broken_by,
    holds,
    unfenced,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pytest

names = st.sampled_from(["a", "b", "c", "d"])
several = st.lists(names, max_size=4)


def test_a_bump_breaks_what_was_stamped_before_and_nothing_else() -> None:
    tags = TagTable()
    a, b = tags.stamp(["a"]).vector, tags.stamp(["b"]).vector
    tags.bump(["a"])
    assert not holds(a)
    assert holds(b)
    assert holds(tags.stamp(["a"]).vector)
    assert (broken_by(a), broken_by(b)) == ("a", None)


def test_a_vector_without_tags_always_holds() -> None:
    assert holds(())
    assert unfenced(())


def test_a_fence_breaks_when_put_and_when_lifted() -> None:
    tags = TagTable()
    before = tags.stamp(["a"])
    fence = tags.fence(["a"])
    under = tags.stamp(["a"])
    assert (before.fenced, under.fenced) == (False, True)
    assert not holds(before.vector)
    assert holds(under.vector)
    assert not unfenced(under.vector)
    tags.lift(fence)
    assert not holds(under.vector)
    assert unfenced(under.vector)
    assert not tags.stamp(["a"]).fenced


def test_a_fence_is_lifted_once() -> None:
    tags = TagTable()
    one, other = tags.fence(["a"]), tags.fence(["a", "b"])
    tags.lift(one)
    tags.lift(one)
    assert tags.stamp(["a"]).fenced
    tags.lift(other)
    assert not tags.stamp(["a", "b"]).fenced


def test_a_fence_keeps_its_tags() -> None:
    tags = TagTable()
    fence = tags.fence(["a"])
    gc.collect()
    assert tags.known("a")
    assert tags.stamp(["a"]).fenced
    tags.lift(fence)


def test_tags_nobody_knows_are_forgotten() -> None:
    tags = TagTable()
    kept = tags.stamp(["kept"])
    for number in range(10_000):
        tags.stamp([f"row:{number}"])
        tags.bump([f"other:{number}"])
        tags.lift(tags.fence([f"third:{number}"]))
    gc.collect()
    assert tags.names() == ["kept"]
    assert len(tags) == 1
    assert kept.vector


def test_a_bump_of_an_unknown_tag_is_not_lost_on_a_later_stamp() -> None:
    tags = TagTable()
    before = tags.counter
    tags.bump(["a"])
    assert not tags.known("a")
    assert tags.stamp(["a"]).vector[0][1] > before


def test_invalidating_a_tag_costs_the_same_whatever_hangs_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tags = TagTable()
    vectors = [
        tags.stamp(["bulk", f"row:{number}"]).vector for number in range(100_000)
    ]
    written: list[str] = []

    class Watched(Tag):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            written.append(name)
            super().__setattr__(name, value)

    bulk = tags.tag("bulk")
    bulk.__class__ = Watched  # type: ignore[assignment]
    looked = 0
    get = tags._tags.get

    def counted(name: Hashable) -> Tag | None:
        nonlocal looked
        looked += 1
        return get(name)

    monkeypatch.setattr(tags._tags, "get", counted)
    tags.bump(["bulk"])
    assert written == ["version"]
    assert looked == 1
    assert not any(map(holds, vectors))


class TestPulse:
    def test_changes_with_every_bump(self) -> None:
        tags, seen = TagTable(), []
        kept = tags.stamp(["a"])
        for _ in range(3):
            seen.append(tags.pulse.value)
            tags.bump(["a"])
            seen.append(tags.pulse.value)
            fence = tags.fence(["a"])
            seen.append(tags.pulse.value)
            tags.lift(fence)
        changes = {tags.pulse.value, *seen}
        assert len(changes) == 10
        assert kept

    def test_is_silent_while_watched(self) -> None:
        tags = TagTable()
        before = tags.pulse.value
        tags.watch()
        tags.watch()
        assert tags.pulse.value is None
        tags.bump(["a"])
        tags.unwatch()
        assert tags.pulse.value is None
        tags.unwatch()
        assert tags.pulse.value not in {None, before}


class TagsMachine(RuleBasedStateMachine):
    """
    Against a model that remembers every change of every name for ever.
    """

    stamps = Bundle("stamps")
    fences = Bundle("fences")

    def __init__(self) -> None:
        super().__init__()
        self.tags = TagTable()
        self.changes = dict.fromkeys("abcd", 0)
        self.up = dict.fromkeys("abcd", 0)
        self.given: dict[tuple[str, int], set[int]] = {}

    def _change(self, changed: list[str]) -> None:
        for name in set(changed):
            self.changes[name] += 1

    @rule(target=stamps, wanted=several)
    def stamp(self, wanted: list[str]) -> tuple[Stamp, dict[str, int]]:
        stamp = self.tags.stamp(wanted)
        assert stamp.fenced == any(self.up[name] for name in wanted)
        for tag, version in stamp.vector:
            self.given.setdefault((str(tag.name), version), set()).add(
                self.changes[str(tag.name)]
            )
        return stamp, {name: self.changes[name] for name in wanted}

    @rule(stamp=consumes(stamps))
    def forget(self, stamp: tuple[Stamp, dict[str, int]]) -> None:
        del stamp

    @rule(changed=several)
    def bump(self, changed: list[str]) -> None:
        self.tags.bump(changed)
        self._change(changed)

    @rule(target=fences, changed=st.lists(names, max_size=3, unique=True))
    def fence(self, changed: list[str]) -> Fence:
        for name in changed:
            self.up[name] += 1
        self._change(changed)
        return self.tags.fence(changed)

    @rule(fence=fences)
    def lift(self, fence: Fence) -> None:
        if fence.up:
            lifted = [str(tag.name) for tag in fence.tags]
            for name in lifted:
                self.up[name] -= 1
            self._change(lifted)
        self.tags.lift(fence)

    @rule(stamp=stamps)
    def compare(self, stamp: tuple[Stamp, dict[str, int]]) -> None:
        taken, seen = stamp
        vector: Vector = taken.vector
        assert holds(vector) == all(self.changes[n] == c for n, c in seen.items())
        assert unfenced(vector) == (not any(self.up[name] for name in seen))

    @invariant()
    def no_version_is_used_twice(self) -> None:
        assert all(len(changes) == 1 for changes in self.given.values())


TestTagsMachine = TagsMachine.TestCase


@given(st.lists(several, max_size=20))
def test_the_counter_never_goes_back(bumps: list[list[str]]) -> None:
    tags, last = TagTable(), 0
    for changed in bumps:
        tags.bump(changed)
        assert tags.counter > last
        last = tags.counter

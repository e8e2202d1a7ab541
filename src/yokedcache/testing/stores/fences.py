"""
Commits in flight, versions and lost memory: rules 2, 3, 4, 6 and 7.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from yokedcache.stores.answers import BORN
from yokedcache.stores.versions import is_next, not_after
from yokedcache.testing.stores.basis import Basis
from yokedcache.testing.stores.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.answers import TagState
    from yokedcache.testing.stores.processes import Process


class Fences(Basis):
    """
    Tests of fences and versions.
    """

    # rules 2 to 4: fences

    def test_under_a_fence_nothing_is_served_or_stored(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tag = new(), new()
        one.fill(key, b"old", tag)
        before = one.stamp(tag)
        fence = other.fence(tag)
        assert one.read(key, tag) == one.read(key) == "commit_in_flight"
        stamp = one.stamp(tag)
        assert stamp.unusable == "commit_in_flight"
        assert stamp.vector.versions == [fence.version]
        assert one.put(key, b"x", stamp) == "commit_in_flight"
        assert one.put(key, b"x", before) is not None
        assert other.lift(fence) == 0
        assert one.read(key, tag) == "changed"
        assert one.put(key, b"old", before) == "changed_meanwhile"
        assert one.fill(key, b"new", tag) is None
        assert other.read(key, tag) == b"new"

    def test_two_writers_have_two_fences(
        self, one: Process, other: Process, new: Any
    ) -> None:
        tag = new()
        first, second = one.fence(tag, owner="a 1"), other.fence(tag, owner="b;2,\n")
        owners = {fence.owner for fence in _state(one, tag).fences}
        assert owners == {"a 1", "b;2,\n"}
        assert one.lift(first) == 0
        assert one.stamp(tag).unusable == "commit_in_flight"
        assert other.lift(second) == 0
        assert one.stamp(tag).unusable is None

    def test_a_lift_may_be_repeated(self, one: Process, new: Any) -> None:
        key, tags = new(), [new(), new()]
        fence = one.fence(*tags)
        assert one.lift(fence) == 0
        one.fill(key, b"x", *tags)
        assert one.lift(fence) == 2
        assert one.read(key, *tags) == "changed"

    def test_a_fence_outlives_its_writer_until_it_is_adopted(
        self, one: Process, start: Callable[..., Process], new: Any
    ) -> None:
        key, tag = new(), new()
        one.fill(key, b"old", tag)
        dying = start(0.05)
        fence = dying.fence(tag, owner="pid 7")
        dying.close()
        wait_until(lambda: _state(one, tag).fences[0].deadline < time.time())
        assert one.read(key, tag) == "commit_in_flight"  # time alone ends none
        token = fence.token
        adopting = one.commands.adopt([tag], token, grace=3600.0)
        assert one.do(adopting) == [False]
        assert one.do(one.commands.adopt([tag], b"another")) == [False]
        wait_until(lambda: one.do(one.commands.adopt([tag], token)) == [True])
        assert one.do(one.commands.adopt([tag], token)) == [False]
        assert one.read(key, tag) == "changed"
        assert one.fill(key, b"new", tag) is None

    def test_a_fence_that_is_vouched_for_is_not_adopted(
        self, one: Process, start: Callable[..., Process], new: Any
    ) -> None:
        tag, short = new(), start(0.05)
        fence = short.fence(tag)
        before = _state(one, tag).fences[0].deadline
        mine = one.do(one.commands.renew(fence))  # with a longer lease
        assert mine == 0
        assert _state(one, tag).fences[0].deadline > before
        assert one.do(one.commands.adopt([tag], fence.token)) == [False]
        assert one.stamp(tag).unusable == "commit_in_flight"

    def test_a_lost_fence_is_put_back_with_a_bump(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tag = new(), new()
        fence = one.fence(tag)
        one.lift(fence)
        other.fill(key, b"x", tag)
        before = other.stamp(tag).vector
        assert one.do(one.commands.renew(fence)) == 1
        assert other.read(key, tag) == "commit_in_flight"
        assert other.stamp(tag).vector != before
        one.lift(fence)
        assert other.read(key, tag) == "changed"

    # rule 6: one counter

    def test_versions_come_from_one_counter_and_are_never_given_twice(
        self, one: Process, other: Process, new: Any
    ) -> None:
        tags = [new(), new()]
        given = list(one.stamp(*tags).vector.versions)
        for process in (one, other, one):
            given.append(process.bump(tags[0]))
            fence = process.fence(*tags)
            given.append(fence.version)
            given.append(process.do(process.commands.lift(fence)).version)
        rest = given[2:]
        assert len({*rest}) == len(rest)
        for earlier, later in itertools.pairwise(rest):
            assert not_after(earlier, later)
            assert not not_after(later, earlier)

    def test_a_note_stands_between_the_versions(
        self, one: Process, other: Process, new: Any
    ) -> None:
        tag = new()
        before = one.stamp(tag).vector
        note = one.do(one.commands.note())
        assert before.not_after(note)
        stamp = one.stamp(tag)
        assert stamp.counter is not None
        assert not_after(note, stamp.counter)
        other.bump(tag)
        assert not one.stamp(tag).vector.not_after(note)

    def test_who_makes_a_tag_is_told_so(self, one: Process, new: Any) -> None:
        tag = new()
        noted = one.stamp().counter
        first = one.stamp(tag)
        assert first.made == {0}
        assert noted is not None
        assert first.counter is not None
        assert first.vector.not_after(one.stamp(tag).counter or b"")
        assert not first.vector.not_after(first.counter)
        assert is_next(first.vector.versions[0], first.counter)
        assert one.stamp(tag).made == frozenset()

    # rule 7: lost memory is an empty cache

    def test_after_lost_memory_nothing_is_served_that_was_stored_before(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tag, made = new(), new(), new()
        one.fill(key, b"x", tag)
        one.fill(made, b"x")
        stamp, bare = one.stamp(tag), one.stamp()
        given = {*stamp.vector.versions, one.bump(tag)}
        raised = one.fence(tag)
        self.lose_memory(one)
        for process in (one, other):
            assert isinstance(process.read(key, tag), str)
            assert isinstance(process.read(made), str)
        assert one.put(key, b"x", stamp) is not None
        assert one.put(made, b"x", bare) in {"incarnation", None}
        # fences may have been lost with it: a lease is for putting them back
        young = other.stamp(tag, new())
        assert young.unusable == "commit_in_flight"
        assert [s.fences[0].token for s in young.states] == [BORN, BORN]
        assert other.fill(key, b"x", tag) == "commit_in_flight"
        assert one.do(one.commands.renew(raised)) == 1
        assert one.lift(raised) == 0
        given |= {*young.vector.versions}
        self.settle(other)
        wait_until(lambda: other.stamp(tag).unusable is None)
        assert other.stamp(tag).vector.versions[0] not in given
        assert other.fill(key, b"new", tag) is None
        assert one.read(key, tag) == b"new"

    def test_a_lost_tag_makes_its_entries_misses(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tag = new(), new()
        one.fill(key, b"x", tag)
        version = one.stamp(tag).vector
        if self.lose_tag(one, tag):
            assert other.read(key, tag) == "tag_lost"
            assert other.stamp(tag).vector != version
            assert other.read(key, tag) in {"changed", "commit_in_flight"}
        else:
            assert other.read(key, tag) == b"x"


def _state(process: Process, tag: str) -> TagState:
    (state,) = process.stamp(tag).states
    return state

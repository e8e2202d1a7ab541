"""
What a function read while it ran: the first version of a tag counts.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from yokedcache.core.capture import Capture
from yokedcache.core.tags import TagTable, holds


def test_gathers_versions() -> None:
    tags, capture = TagTable(), Capture()
    capture.note_stamp(tags.stamp(["a", "b"]))
    capture.note(tags.stamp(["c"]).vector)
    capture.note(())
    assert list(capture.names()) == ["a", "b", "c"]
    assert holds(capture.vector)
    assert capture.spoiled is None


def test_the_first_version_counts_and_a_second_one_spoils() -> None:
    tags, capture = TagTable(), Capture()
    first = tags.stamp(["a"])
    capture.note_stamp(first)
    capture.note_stamp(tags.stamp(["a"]))
    assert capture.spoiled is None
    tags.bump(["a"])
    capture.note_stamp(tags.stamp(["a"]))
    assert capture.spoiled == "changed_meanwhile"
    assert capture.vector == first.vector
    assert not holds(capture.vector)


def test_an_older_version_that_comes_later_spoils_too() -> None:
    tags, capture = TagTable(), Capture()
    old = tags.stamp(["a"]).vector
    tags.bump(["a"])
    capture.note(tags.stamp(["a"]).vector)
    capture.note(old)
    assert capture.spoiled == "changed_meanwhile"


def test_a_fence_met_spoils() -> None:
    tags, capture = TagTable(), Capture()
    fence = tags.fence(["a"])
    capture.note_stamp(tags.stamp(["a"]))
    assert capture.spoiled == "commit_in_flight"
    tags.lift(fence)
    assert capture.spoiled == "commit_in_flight"


def test_the_first_reason_is_kept() -> None:
    capture = Capture()
    capture.spoil("dirty")
    capture.spoil("snapshot")
    assert capture.spoiled == "dirty"


def test_what_an_inner_capture_saw_is_taken_over() -> None:
    tags, outer, inner = TagTable(), Capture(), Capture()
    inner.note_stamp(tags.stamp(["a"]))
    inner.spoil("dirty")
    inner.volatile = "now()"
    outer.absorb(inner)
    assert list(outer.names()) == ["a"]
    assert (outer.spoiled, outer.volatile) == ("dirty", "now()")


def test_the_first_volatile_function_is_kept() -> None:
    outer, inner = Capture(), Capture()
    outer.volatile, inner.volatile = "now()", "random()"
    outer.absorb(inner)
    outer.absorb(Capture())
    assert outer.volatile == "now()"


def test_two_halves_that_saw_different_versions_spoil_their_whole() -> None:
    tags, outer = TagTable(), Capture()
    for _ in range(2):
        inner = Capture()
        inner.note_stamp(tags.stamp(["a"]))
        outer.absorb(inner)
        tags.bump(["a"])
    assert outer.spoiled == "changed_meanwhile"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20))
def test_what_holds_at_the_end_held_at_every_read(
    steps: list[tuple[str, bool]],
) -> None:
    tags, capture = TagTable(), Capture()
    read: dict[str, int] = {}
    changed: dict[str, int] = dict.fromkeys("abc", 0)
    for name, bump in steps:
        if bump:
            tags.bump([name])
            changed[name] += 1
        else:
            capture.note_stamp(tags.stamp([name]))
            read.setdefault(name, changed[name])
    holding = all(changed[name] == seen for name, seen in read.items())
    assert holds(capture.vector) == holding
    if capture.spoiled:
        assert not holding

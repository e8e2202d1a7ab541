"""
What lies under the keys reads back as it was meant, and nothing else reads at all.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yokedcache.errors import UsageError
from yokedcache.stores.redis.layout import (
    LOST,
    Layout,
    TagSet,
    not_after,
    of_incarnation,
    read_counter,
    read_tag,
    word,
)

WORDS = st.text("abcXYZ019-_", min_size=1, max_size=12).map(str.encode)
ORIGINS = st.text("abcXYZ019-_", min_size=16, max_size=16).map(str.encode)
NUMBERS = st.integers(0, 10**14 - 1)
VERSIONS = st.builds(
    lambda origin, number: b"%b.%d" % (origin, number), ORIGINS, NUMBERS
)
FENCES = st.tuples(WORDS, NUMBERS, st.text(max_size=20))


@given(VERSIONS, st.lists(FENCES, max_size=4))
def test_a_tag_reads_back(version: bytes, fences: list[tuple[bytes, int, str]]) -> None:
    value = version + b"".join(
        b";%b,%d,%b" % (token, deadline, word(owner.encode("utf-8", "replace")))
        for token, deadline, owner in fences
    )
    state = read_tag(value)
    assert state.version == version
    assert state.usable is not bool(fences)
    assert not state.lost
    assert [(one.token, one.deadline) for one in state.fences] == [
        (token, deadline / 1000) for token, deadline, _ in fences
    ]
    assert [one.owner for one in state.fences] == [
        owner.encode("utf-8", "replace").decode() for _, _, owner in fences
    ]


@given(VERSIONS, st.binary(min_size=1, max_size=20))
def test_what_follows_a_version_and_is_no_fence_makes_it_unknown(
    version: bytes, more: bytes
) -> None:
    state = read_tag(version + more)
    allowed = rb"\d*(;[A-Za-z0-9_-]+,\d{1,15},[A-Za-z0-9_-]*)*"
    if not re.fullmatch(allowed, more):
        assert state.version is None
        assert not state.usable
        assert not state.lost


@given(st.binary(max_size=60) | st.integers() | st.lists(st.binary()))
def test_garbage_is_never_usable(value: object) -> None:
    state = read_tag(value)
    assert not state.usable
    assert read_counter(value) is None


def test_nothing_is_a_lost_tag() -> None:
    assert read_tag(None) is LOST
    assert not LOST.usable
    assert LOST.lost


def test_an_owner_that_can_not_be_read_is_still_a_fence() -> None:
    (fence,) = read_tag(b"abcdefgh12345678.5;t,100,A").fences
    assert fence.owner == ""


def test_a_fence_for_lost_ones_is_told_apart() -> None:
    assert read_tag(b"abcdefgh12345678.5;0,100,").orphaned
    assert not read_tag(b"abcdefgh12345678.5;0,100,;t,100,").orphaned
    assert not read_tag(b"abcdefgh12345678.5").orphaned


@given(ORIGINS, NUMBERS, ORIGINS, NUMBERS)
def test_versions_compare_within_an_origin_alone(
    first: bytes, number: int, second: bytes, other: int
) -> None:
    version, note = b"%b.%d" % (first, number), b"%b.%d" % (second, other)
    assert not_after(version, note) is (first == second and number <= other)
    assert not_after(version, version)
    assert of_incarnation(version, first[:8])
    assert read_counter(version + b".17") == version
    assert read_counter(version) is None


@given(st.lists(st.text(max_size=5), max_size=5))
def test_sets_of_the_same_tags_are_equal(names: list[str]) -> None:
    layout = Layout()
    tags = layout.tags(names)
    assert tags == layout.tags([*reversed(names), *names])
    assert hash(tags) == hash(layout.tags(set(names)))
    assert tags.count == len(set(names)) == len(tags.keys)
    digests = [tags.digest(place) for place in range(tags.count)]
    assert digests == sorted(digests)
    assert layout.tags_of(digests) == tags


def test_keys_are_told_apart_by_kind_prefix_and_name() -> None:
    first, second = Layout("one"), Layout("two")
    keys = [
        key
        for layout in (first, second)
        for key in (
            layout.counter,
            layout.entry("a"),
            layout.entry(b"b"),
            *layout.tags(["a", "b"]).keys,
        )
    ]
    assert len(set(keys)) == len(keys) == 10
    assert layout_of(keys) == {b"one", b"two"}
    assert first.entry("a") == first.entry(b"a")
    assert first.entry("\udc80") != first.entry("\udc81")


def layout_of(keys: list[bytes]) -> set[bytes]:
    return {key.partition(b":")[0] for key in keys}


@pytest.mark.parametrize("prefix", ["", "a{b}", "a*", "a b", "a\n", "a?", "[a]"])
def test_a_prefix_that_servers_would_read_otherwise_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="can't begin keys"):
        Layout(prefix)


def test_tags_a_call_are_limited() -> None:
    layout = Layout()
    assert isinstance(layout.tags(map(str, range(256))), TagSet)
    with pytest.raises(UsageError, match="257 tags") as caught:
        layout.tags(map(str, range(257)))
    assert caught.value.tags == 257

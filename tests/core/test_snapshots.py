"""
What a transaction sees, and what it may be served and add.
"""

from __future__ import annotations

import pytest

from yokedcache.core.capture import Capture
from yokedcache.core.snapshots import (
    FRESH,
    Opening,
    Sight,
    View,
    opening_at,
    sight_at,
)
from yokedcache.core.tags import TagTable


@pytest.fixture
def tags() -> TagTable:
    made = TagTable()
    made.bump(["nothing"])
    return made


def test_a_snapshot_is_served_what_it_sees(tags: TagTable) -> None:
    stamp = tags.stamp(["a"])
    view = View(Sight.SNAPSHOT, tags.counter)
    assert view.unservable(stamp.vector) is None
    assert view.unstorable(stamp) is None
    tags.bump(["b"])
    assert view.unservable(stamp.vector) is None  # of no concern


def test_what_was_bumped_after_the_note_is_beyond_it(tags: TagTable) -> None:
    kept = tags.stamp(["a"])
    view = View(Sight.SNAPSHOT, tags.counter)
    tags.bump(["a"])
    later = tags.stamp(["a"])
    assert kept.vector != later.vector
    assert view.unservable(later.vector) == "snapshot"
    assert view.unstorable(later) == "snapshot"


def test_a_tag_met_for_the_first_time_may_have_been_bumped(tags: TagTable) -> None:
    view = View(Sight.SNAPSHOT, tags.counter)
    assert view.unservable(tags.stamp(["new"]).vector) is None
    tags.bump(["unknown"])
    assert view.unservable(tags.stamp(["unknown"]).vector) == "snapshot"


def test_under_a_fence_a_snapshot_is_served_and_adds_nothing(tags: TagTable) -> None:
    fence = tags.fence(["a"])
    view = View(Sight.SNAPSHOT, tags.counter)
    stamp = tags.stamp(["a"])
    assert view.unservable(stamp.vector) == "snapshot"
    assert view.unstorable(stamp) == "commit_in_flight"
    tags.lift(fence)


def test_a_store_of_which_nothing_was_noted_serves_no_snapshot(tags: TagTable) -> None:
    view = View(Sight.SNAPSHOT)
    assert view.unservable(tags.stamp(["a"]).vector) == "snapshot"
    assert View(Sight.SNAPSHOT, -1).unservable(tags.stamp(["a"]).vector) == "snapshot"


def test_what_may_not_be_committed_is_served_and_never_stored(tags: TagTable) -> None:
    stamp = tags.stamp(["a"])
    view = View(Sight.UNCOMMITTED)
    assert view.unservable(stamp.vector) is None
    assert view.unstorable(stamp) == "read_uncommitted"
    held = View(Sight.UNCOMMITTED, tags.counter)
    tags.bump(["a"])
    assert held.unservable(tags.stamp(["a"]).vector) == "snapshot"


def test_what_is_checked_must_be_read(tags: TagTable) -> None:
    stamp = tags.stamp(["a"])
    assert View(Sight.CHECKED).unservable(stamp.vector) == "serializable"
    assert View(Sight.CHECKED).unstorable(stamp) == "serializable"


def test_statement_by_statement_all_that_is_valid_will_do(tags: TagTable) -> None:
    tags.bump(["a"])
    stamp = tags.stamp(["a"])
    assert FRESH.unservable(stamp.vector) is None
    assert FRESH.unstorable(stamp) is None


@pytest.mark.parametrize(
    ("level", "deferred", "sight"),
    [
        ("READ COMMITTED", False, Sight.STATEMENT),
        ("AUTOCOMMIT", False, Sight.STATEMENT),
        ("READ UNCOMMITTED", False, Sight.UNCOMMITTED),
        ("REPEATABLE READ", False, Sight.SNAPSHOT),
        ("SNAPSHOT", False, Sight.SNAPSHOT),
        ("SERIALIZABLE", True, Sight.SNAPSHOT),
        ("SERIALIZABLE", False, Sight.CHECKED),
        ("SOMETHING ELSE", True, Sight.CHECKED),
        (None, False, Sight.CHECKED),
    ],
)
def test_levels(level: str | None, deferred: bool, sight: Sight) -> None:
    assert sight_at(level, deferred=deferred) is sight


@pytest.mark.parametrize(
    ("level", "native", "chosen", "opening"),
    [
        (None, "READ COMMITTED", False, Opening.FREE),
        ("AUTOCOMMIT", "REPEATABLE READ", True, Opening.FREE),
        ("READ COMMITTED", "REPEATABLE READ", True, Opening.FREE),
        ("READ UNCOMMITTED", "READ COMMITTED", True, Opening.FREE),
        ("REPEATABLE READ", "REPEATABLE READ", False, Opening.FLOATING),
        ("REPEATABLE READ", "REPEATABLE READ", True, Opening.STRICT),
        ("REPEATABLE READ", "READ COMMITTED", False, Opening.STRICT),
        ("REPEATABLE READ", None, False, Opening.STRICT),
        ("SERIALIZABLE", "SERIALIZABLE", False, Opening.STRICT),
    ],
)
def test_openings(
    level: str | None,
    native: str | None,
    chosen: bool,
    opening: Opening,
) -> None:
    assert opening_at(level, native=native, chosen=chosen) is opening


def test_a_capture_takes_what_a_view_lets_it(tags: TagTable) -> None:
    capture = Capture()
    capture.note_read(tags.stamp(["a"]), FRESH)
    assert not capture.private
    view = View(Sight.SNAPSHOT, tags.counter)
    capture.note_read(tags.stamp(["a"]), view)
    assert capture.private
    assert capture.spoiled is None
    tags.bump(["b"])
    capture.note_read(tags.stamp(["b"]), view)
    assert capture.spoiled == "snapshot"


def test_an_outer_capture_is_private_with_its_inner_one(tags: TagTable) -> None:
    outer, inner = Capture(), Capture()
    inner.note_read(tags.stamp(["a"]), View(Sight.SNAPSHOT, tags.counter))
    outer.absorb(inner)
    assert outer.private


def test_the_pulse_beats_while_nothing_is_beyond_a_note(tags: TagTable) -> None:
    tags.hold(tags.counter)
    assert tags.pulse.value == tags.counter
    tags.watch()
    tags.unwatch()
    assert tags.pulse.value == tags.counter
    tags.bump(["a"])
    assert tags.pulse.value is None
    tags.hold(tags.counter)
    tags.let_go()
    assert tags.pulse.value is None
    tags.let_go()
    assert tags.pulse.value == tags.counter


def test_a_note_that_is_behind_already_stops_the_pulse_at_once(tags: TagTable) -> None:
    note = tags.counter
    tags.bump(["a"])
    tags.hold(note)
    assert tags.pulse.value is None
    tags.let_go()
    assert tags.pulse.value == tags.counter


def test_what_was_just_read_is_compared_with_what_it_must_equal() -> None:
    table = TagTable()
    table.tag("users")
    note = table.counter
    vector = table.stamp(("users",)).vector
    assert FRESH.same(vector)
    assert View(Sight.SNAPSHOT, note).same(vector)
    assert not View(Sight.UNCOMMITTED).same(vector)
    table.bump(("users",))
    assert not FRESH.same(vector)
    later = table.stamp(("users",)).vector
    assert FRESH.same(later)
    assert not View(Sight.SNAPSHOT, note).same(later)
    table.fence(("users",))
    assert not FRESH.same(table.stamp(("users",)).vector)

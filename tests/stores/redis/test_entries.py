"""
Entries: what is stored, when it is served, and how many trips that takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.redis_faces import COUNTING, TIMES
from yokedcache.errors import UsageError
from yokedcache.stores.arguments import LONGEST, milliseconds
from yokedcache.stores.envelope import Times
from yokedcache.stores.redis.results import Hit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer
    from tests.support.redis_faces import Face


def test_what_was_stored_is_served_with_its_times_and_vector(face: Face) -> None:
    stamp = face.stamp("a", "b")
    assert face.put("k", b"\x00value\r\n", stamp) is None
    found = face.do(face.commands.read("k", ["b", "a"]))
    assert isinstance(found, Hit)
    assert bytes(found.payload) == b"\x00value\r\n"
    assert found.vector == stamp.vector
    assert found.times.born == 1.0
    assert found.times.fresh_until == 61.0
    assert found.times.stale_until == 121.0


@pytest.mark.parametrize("asked", [(), ("a",), ("a", "b"), ("a", "b", "c"), ("c",)])
def test_a_wrong_hint_of_the_tags_changes_nothing(
    face: Face, asked: tuple[str, ...]
) -> None:
    face.fill("k", b"v", "a", "b")
    assert face.read("k", *asked) == b"v"
    fence = face.fence("b")
    assert face.read("k", *asked) == "commit_in_flight"
    face.lift(fence)
    assert face.read("k", *asked) == "changed"
    face.server.say("DEL", face.tag("b"))
    assert face.read("k", *asked) == "tag_lost"


def test_an_entry_without_tags_depends_on_time_alone(face: Face) -> None:
    assert face.fill("k", b"v") is None
    face.bump("a")
    assert face.read("k") == b"v"
    assert face.read("k", "a") == b"v"


def test_keys_are_bytes_or_text(face: Face) -> None:
    face.fill("k", b"v")
    found = face.do(face.commands.read(b"k"))
    assert isinstance(found, Hit)
    assert face.read("other") == "absent"


def test_under_a_fence_nothing_is_served_or_stored(face: Face) -> None:
    face.fill("k", b"old", "a")
    early = face.stamp("a")
    fence = face.fence("a")
    assert face.read("k", "a") == "commit_in_flight"
    during = face.stamp("a")
    assert face.put("k", b"old", during) == "commit_in_flight"
    assert face.put("k", b"old", early) == "commit_in_flight"
    face.lift(fence)
    assert face.put("k", b"old", early) == "changed_meanwhile"
    # it saw the fence, whatever became of it
    assert face.put("k", b"old", during) == "commit_in_flight"
    assert face.read("k", "a") == "changed"
    assert face.fill("k", b"new", "a") is None
    assert face.read("k", "a") == b"new"


def test_two_writers_and_a_filler_in_any_order(face: Face) -> None:
    first = face.fence("a")
    second = face.fence("a")
    between = face.stamp("a")
    face.lift(first)
    assert face.put("k", b"old", between) == "commit_in_flight"
    assert face.put("k", b"old", face.stamp("a")) == "commit_in_flight"
    third = face.fence("a")
    face.lift(second)
    assert face.stamp("a").unusable == "commit_in_flight"
    face.lift(third)
    assert face.fill("k", b"new", "a") is None


def test_a_miss_carries_a_stamp_from_before(face: Face) -> None:
    stamped = face.stamp("a")
    found = face.do(face.commands.read("k", ["a"]))
    assert not isinstance(found, Hit)
    assert found.stamp.vector == stamped.vector
    assert not found.stamp.incomplete
    assert face.put("k", b"v", found.stamp) is None
    assert face.read("k", "a") == b"v"


def test_a_miss_on_tags_that_are_not_there_asks_for_a_stamp(face: Face) -> None:
    found = face.do(face.commands.read("k", ["a"]))
    assert found.stamp.incomplete
    assert face.put("k", b"v", found.stamp) == "tag_lost"


def test_exists_and_remove_tell_what_holds(face: Face) -> None:
    exists = face.commands.exists("k", ["a"])
    assert not face.do(exists)
    face.fill("k", b"v", "a")
    assert face.do(exists)
    assert face.do(face.commands.remove("k", ["a"]))
    assert not face.do(exists)
    assert not face.do(face.commands.remove("k"))
    face.fill("k", b"v", "a")
    face.bump("a")
    assert not face.do(exists)
    assert not face.do(face.commands.remove("k", ["a"]))
    assert face.read("k") == "absent"


def test_an_entry_ends_with_its_life(face: Face) -> None:
    stamp = face.stamp("a")
    face.do(face.commands.store("k", b"v", stamp, TIMES, life=30.0))
    key = face.layout.entry("k").decode()
    assert 25_000 < face.server.say("PTTL", key) <= 30_000
    later = Times(5.0, 15.0, 15.0)
    operation = face.commands.extend("k", later, life=500.0, tags=["a"])
    assert face.do(operation)
    assert 450_000 < face.server.say("PTTL", key) <= 500_000
    found = face.do(face.commands.read("k", ["a"]))
    assert bytes(found.payload) == b"v"
    assert found.times.fresh_until == 15.0
    assert face.server.say("PTTL", face.tag("a")) > 450_000
    face.bump("a")
    assert not face.do(operation)


@pytest.mark.parametrize("life", [0, -1.0, float("nan")])
def test_a_life_that_can_not_be_meant_is_refused(life: float) -> None:
    with pytest.raises(UsageError, match="no time to live"):
        milliseconds(life)


def test_lives_are_bounded_and_never_rounded_to_nothing() -> None:
    assert milliseconds(float("inf")) == LONGEST
    assert milliseconds(1e-9) == 1
    assert milliseconds(1.5) == 1500


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "foreign"),
        ("somebody's", "foreign"),
        ("YE", "truncated"),
        ("YE" + "\x01" * 30, "truncated"),
        ("YE\x02" + "\x00" * 60, "other_layout"),
    ],
    ids=["empty", "foreign", "short", "cut", "newer"],
)
def test_foreign_bytes_are_a_miss(face: Face, value: str, reason: str) -> None:
    key = face.layout.entry("k").decode()
    face.server.say("SET", key, value)
    assert face.read("k", "a") == reason
    assert face.fill("k", b"v", "a") is None
    assert face.read("k", "a") == b"v"
    face.server.say("SET", key, value)
    assert not face.do(face.commands.remove("k"))
    assert face.read("k") == "absent"


def test_a_foreign_kind_of_value_is_a_miss(face: Face) -> None:
    key = face.layout.entry("k").decode()
    face.server.say("RPUSH", key, "x")
    assert face.read("k", "a") == "foreign"
    assert face.fill("k", b"v", "a") is None
    assert face.read("k", "a") == b"v"
    face.server.say("DEL", key)
    face.server.say("RPUSH", key, "x")
    assert not face.do(face.commands.remove("k"))
    assert face.read("k") == "absent"


def test_large_values_come_back_whole(face: Face) -> None:
    payload = bytes(range(256)) * 8192
    assert face.fill("k", payload, "a") is None
    assert face.read("k", "a") == payload


def test_a_read_is_one_trip_where_the_tags_are_known_else_two(
    each_server: RedisServer, open_face: Callable[..., Face], face_kind: str
) -> None:
    each_server.flush()
    counting = COUNTING[face_kind]
    face = open_face(each_server, connection_class=counting)
    face.settle()
    face.read("k")  # connects, and so does what follows
    face.fill("k", b"v", "a", "b")

    def trips(*tags: str) -> int:
        before = counting.sent
        assert face.read("k", *tags) == b"v"
        return int(counting.sent - before)

    assert trips("a", "b") == 1
    assert trips("b", "a", "c") == 1
    assert trips("a") == 2
    assert trips() == 2
    before = counting.sent
    assert face.read("absent", "a") == "absent"
    face.stamp("a", "b")
    assert counting.sent - before == 2

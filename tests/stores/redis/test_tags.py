"""
Versions and fences, by the scripts, on each kind of server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until
from yokedcache.errors import UsageError
from yokedcache.stores.redis.layout import not_after, read_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer
    from tests.support.redis_faces import Face
    from yokedcache.stores.redis.layout import TagState


def state(face: Face, tag: str) -> TagState:
    value = face.server.say("GET", face.tag(tag))
    return read_tag(value and value.encode())


def test_a_stamp_makes_tags_that_are_not_there(face: Face) -> None:
    stamp = face.stamp("a", "b")
    assert stamp.unusable is None
    again = face.stamp("a", "b")
    assert again.vector == stamp.vector
    assert len(set(stamp.vector.versions)) == 1


def test_a_bump_gives_a_version_never_used_before(face: Face) -> None:
    before = face.stamp("a", "b")
    version = face.bump("a")
    after = face.stamp("a", "b")
    assert version in after.vector.versions
    assert len(set(after.vector.versions) - set(before.vector.versions)) == 1
    assert before.counter is not None
    assert after.counter == version
    assert before.vector.not_after(after.counter)
    assert not after.vector.not_after(before.vector.versions[0])


def test_a_bump_of_what_nobody_reads_leaves_nothing(face: Face) -> None:
    before = face.server.say("DBSIZE")
    face.bump("a", "b")
    assert face.server.say("DBSIZE") == before


def test_a_fence_bumps_and_is_seen_with_its_owner(face: Face) -> None:
    before = face.stamp("a")
    fence = face.fence("a", owner="pg:16401:Ω,;|")
    seen = face.stamp("a")
    assert seen.unusable == "commit_in_flight"
    (tag,) = seen.states
    assert tag.version == fence.version != before.vector.versions[0]
    assert [(one.token, one.owner) for one in tag.fences] == [
        (fence.token, "pg:16401:Ω,;|")
    ]
    now = float(face.server.say("TIME")[0])
    assert now + 900 < tag.fences[0].deadline < now + 1100


def test_a_lift_bumps_and_takes_its_own_fence_down(face: Face) -> None:
    first, second = face.fence("a", "b"), face.fence("b")
    assert face.lift(first) == 0
    assert face.stamp("a").unusable is None
    assert face.stamp("b").unusable == "commit_in_flight"
    assert [one.token for one in state(face, "b").fences] == [second.token]
    assert face.lift(second) == 0
    stamp = face.stamp("b")
    assert stamp.unusable is None
    assert not stamp.vector.not_after(second.version)


def test_a_lift_that_finds_its_fence_gone_still_bumps(face: Face) -> None:
    fence = face.fence("a")
    face.lift(fence)
    before = face.stamp("a")
    assert face.lift(fence) == 1
    assert face.stamp("a").vector != before.vector


def test_a_fence_sent_twice_is_one(face: Face) -> None:
    operation = face.commands.fence(["a"], b"twice")
    face.do(operation)
    fence = face.do(operation)
    assert len(state(face, "a").fences) == 1
    face.lift(fence)
    assert state(face, "a").usable


def test_a_tag_lives_for_good_while_fenced_and_a_lease_afterwards(face: Face) -> None:
    fence, other = face.fence("a"), face.fence("a")
    assert face.server.say("PTTL", face.tag("a")) == -1
    face.lift(fence)
    assert face.server.say("PTTL", face.tag("a")) == -1
    face.lift(other)
    assert 900_000 < face.server.say("PTTL", face.tag("a")) <= 1_000_000


def test_a_fill_prolongs_a_tag_and_never_shortens_it(face: Face) -> None:
    face.fill("k", b"v", "a")
    assert face.server.say("PTTL", face.tag("a")) > 900_000
    face.server.say("PEXPIRE", face.tag("a"), 5000)
    face.fill("k", b"v", "a")
    assert 50_000 < face.server.say("PTTL", face.tag("a")) <= 60_000


def test_renewing_vouches_for_another_lease_and_bumps_nothing(face: Face) -> None:
    fence = face.fence("a")
    before = state(face, "a")
    key, deadline = face.tag("a"), int(before.fences[0].deadline * 1000)
    text = face.server.say("GET", key)
    face.server.say("SET", key, text.replace(str(deadline), str(deadline - 5000)))
    assert face.do(face.commands.renew(fence)) == 0
    after = state(face, "a")
    assert after.version == before.version
    assert after.fences[0].deadline >= before.fences[0].deadline
    assert face.server.say("PTTL", key) == -1


def test_renewing_puts_a_lost_fence_back_with_a_bump(face: Face) -> None:
    fence = face.fence("a", "b", owner="me")
    face.server.say("DEL", face.tag("a"))
    filled = face.stamp("a")
    assert face.do(face.commands.renew(fence)) == 1
    after = face.stamp("a")
    assert after.unusable == "commit_in_flight"
    assert after.states[0].fences[0].owner == "me"
    assert after.vector != filled.vector
    assert face.lift(fence) == 0


def test_a_fence_is_adopted_only_when_nobody_vouches_for_it(
    each_server: RedisServer, open_face: Callable[..., Face], face: Face
) -> None:
    short = open_face(each_server, lease=0.05)
    fence = short.fence("a", "b")
    other = face.fence("b")

    def adopted(grace: float = 0.0) -> list[bool]:
        operation = short.commands.adopt(["a", "b", "c"], fence.token, grace=grace)
        return sorted(short.do(operation))

    before = face.stamp("a")
    assert adopted(grace=500.0) == [False, False, False]
    assert short.do(short.commands.adopt(["b"], other.token)) == [False]
    wait_until(lambda: adopted() == [False, True, True])
    assert face.stamp("a").vector != before.vector
    assert [one.token for one in state(face, "b").fences] == [other.token]
    # its writer comes back
    lone = face.stamp("a")
    assert short.lift(fence) == 2
    assert face.stamp("a").vector != lone.vector


@pytest.mark.parametrize("number", [256, 257])
def test_tags_a_call_are_limited(face: Face, number: int) -> None:
    names = [f"t{one}" for one in range(number)]
    if number > 256:
        with pytest.raises(UsageError, match="257 tags in one call, of at most 256"):
            face.fence(*names)
        assert face.server.say("DBSIZE") == 1
    else:
        fence = face.fence(*names)
        assert face.stamp(*names).unusable == "commit_in_flight"
        assert face.lift(fence) == 0
        assert face.fill("k", b"v", *names) is None
        assert face.read("k") == b"v"


@pytest.mark.parametrize("token", [b"", b"0", b"a;b", b"a,b", b"a b"])
def test_a_token_that_would_be_misread_is_refused(face: Face, token: bytes) -> None:
    with pytest.raises(UsageError, match="no token"):
        face.commands.fence(["a"], token)


def test_the_counter_can_be_noted(face: Face) -> None:
    noted = face.do(face.commands.note())
    assert noted == face.stamp().counter
    version = face.bump("a")
    assert not_after(noted, version)
    assert not not_after(version, noted)
    assert face.do(face.commands.note()) == version
    face.server.say("DEL", face.layout.counter.decode())
    assert face.do(face.commands.note()) is None
    later = face.bump("a")
    assert not not_after(later, version)
    assert not not_after(version, later)


def test_numbers_are_written_whole_however_large(face: Face) -> None:
    counter = face.layout.counter.decode()
    origin = face.server.say("GET", counter).partition(".")[0]
    face.server.say("SET", counter, f"{origin}.1234567890123.1")
    assert face.bump("a").endswith(b".1234567890124")
    # a number for which entries have no room begins a new origin
    face.server.say("SET", counter, f"{origin}.12345678901234.1")
    assert face.bump("a").endswith(b".1")


def test_scripts_are_brought_where_the_server_forgot_them(face: Face) -> None:
    fence = face.fence("a")
    face.server.say("SCRIPT", "FLUSH")
    assert face.lift(fence) == 0
    face.server.say("SCRIPT", "FLUSH")
    assert face.fill("k", b"v", "a") is None
    assert face.read("k", "a") == b"v"


def test_prefixes_do_not_see_each_other(
    each_server: RedisServer, open_face: Callable[..., Face], face: Face
) -> None:
    other = open_face(each_server, prefix="other")
    other.settle()
    face.fill("k", b"v", "a")
    other.bump("a")
    assert other.read("k", "a") == "absent"
    assert face.read("k", "a") == b"v"

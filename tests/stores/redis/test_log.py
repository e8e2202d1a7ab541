"""
The log of announcements: nothing is missed in silence, and it costs nothing unfollowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.redis_faces import NEVER_LATE, AsyncFace
from yokedcache.stores.redis.layout import digest_of
from yokedcache.stores.redis.log import LIFE, MOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import ReplicaPair
    from tests.support.redis_faces import Face


class Follower:
    """
    Who follows, and where it is.
    """

    def __init__(self, face: Face) -> None:
        self.face = face
        self.place: bytes | None = None
        assert self() is None

    def __call__(self) -> list[bytes] | None:
        followed = self.face.do(self.face.commands.follow(self.place))
        self.place = followed.position
        told: Any = followed.told
        return None if told is None else [tags.digests for _, tags in told]


A, B = digest_of("a"), digest_of("b")


def log(face: Face) -> str:
    return face.layout.log.decode()


def counter(face: Face) -> str:
    return face.layout.counter.decode()


def test_where_nobody_follows_there_is_no_log(face: Face) -> None:
    face.fill("k", b"x", "a")
    face.lift(face.fence("a", "b"))
    face.bump("a")
    assert face.server.say("EXISTS", log(face)) == 0
    told = Follower(face)
    face.bump("a")
    assert told() == [A]
    assert face.server.say("XLEN", log(face)) == 2


def test_a_log_that_nobody_follows_goes_by_itself(face: Face) -> None:
    told, say = Follower(face), face.server.say
    assert 0 < say("PTTL", log(face)) <= LIFE
    say("PEXPIRE", log(face), LIFE // 2 - 1)
    face.bump("a")
    assert say("PTTL", log(face)) < LIFE // 2
    assert told() == [A]
    assert say("PTTL", log(face)) > LIFE // 2
    say("PERSIST", log(face))
    assert told() == []
    assert say("PTTL", log(face)) > LIFE // 2


def bump_often(face: Face, times: int) -> None:
    """
    Bump a tag so often, in one go.
    """
    store, bumps = face.store, [face.commands.bump(["a"]) for _ in range(times)]
    if isinstance(face, AsyncFace):
        face.run(store.perform_all(bumps, NEVER_LATE))
    else:
        store.perform_all(bumps, NEVER_LATE)


def test_it_stays_short_and_who_is_far_behind_begins_anew(face: Face) -> None:
    told = Follower(face)
    bump_often(face, MOST - 51)
    assert told() == [A] * (MOST - 51)
    bump_often(face, MOST + 20)
    number = (told.place or b"").rpartition(b".")[2].decode()
    assert face.server.say("XRANGE", log(face), number, number)  # it is all there yet
    assert told() is None
    assert face.server.say("XLEN", log(face)) < 1.2 * MOST


def test_who_is_behind_where_it_is_cut_begins_anew(face: Face) -> None:
    told, behind, other = Follower(face), Follower(face), Follower(face)
    for _ in range(3):
        face.bump("a")
    assert told() == [b"", b"", A, A, A]
    face.server.say("XTRIM", log(face), "MAXLEN", 3)
    assert behind() is None
    face.bump("b")
    assert told() == [b"", B]
    assert other() is None


def test_a_counter_that_was_lost_is_noticed(face: Face) -> None:
    told, other = Follower(face), Follower(face)
    face.bump("a")
    face.server.say("DEL", counter(face))
    face.bump("a")  # its number is smaller than those of the log
    assert face.server.say("EXISTS", log(face)) == 0
    assert told() is None
    face.bump("b")
    assert told() == [B]
    assert other() is None


def test_so_it_is_where_it_has_gone_past_the_log_unheard(face: Face) -> None:
    told = Follower(face)
    face.server.say("DEL", counter(face))
    for number in range(5):
        face.stamp(f"made {number}")
    face.bump("a")
    assert told() is None
    face.bump("b")
    assert told() == [B]


def test_who_begins_on_the_log_of_a_lost_counter_gets_a_new_one(face: Face) -> None:
    Follower(face)
    for _ in range(3):
        face.bump("a")
    face.server.say("DEL", counter(face))
    told = Follower(face)
    face.bump("b")
    assert told() == [B]
    assert face.server.say("XLEN", log(face)) == 2


def test_something_else_under_its_key_is_replaced(face: Face) -> None:
    told, say = Follower(face), face.server.say
    say("SET", log(face), "something else")
    assert told() is None
    say("SET", log(face), "something else")
    face.bump("a")
    assert say("EXISTS", log(face)) == 0
    assert told() is None
    face.bump("b")
    assert told() == [B]


def test_entries_that_are_not_ours_make_it_begin_anew(face: Face) -> None:
    for words in (
        ("N-1", "t", "AAAAAAAA"),
        ("N-0", "t", "AAAA"),
        ("N-0", "t", "AAAA!AAAA"),
        ("N-0", "u", "AAAAAAAA"),
        ("N-0", "t", "AAAAAAAA", "t", ""),
    ):
        face.server.say("DEL", log(face))
        told = Follower(face)
        number = int((told.place or b"").rpartition(b".")[2])
        name = words[0].replace("N", str(number + 1))
        face.server.say("XADD", log(face), name, *words[1:])
        assert told() is None, words


def test_a_server_without_memory_announces_as_ever(face: Face) -> None:
    told = Follower(face)
    face.server.configure(maxmemory=1)
    try:
        face.bump("a")
        assert told() == [A]
        face.server.say("DEL", log(face))
        assert told() is None
        face.lift(face.fence("b"))
        assert told() == [B, B]
    finally:
        face.server.configure(maxmemory=0)


def test_a_server_that_was_replaced_is_another_one(
    redis_pair: ReplicaPair, open_face: Callable[..., Face]
) -> None:
    old, new = open_face(redis_pair.primary), open_face(redis_pair.replica)
    told = Follower(old)
    place = told.place
    old.bump("a")
    redis_pair.caught_up()
    redis_pair.swap()
    assert new.server.say("XLEN", log(new)) == 2  # it has all that was announced
    told.face, told.place = new, place
    assert told() is None
    new.bump("b")
    assert told() == [B]

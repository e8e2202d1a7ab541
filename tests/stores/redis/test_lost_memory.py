"""
A server that lost its memory, or a part of it, is an empty cache (rule 7).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.processes import wait_until
from yokedcache.stores.redis import incarnation
from yokedcache.stores.redis.layout import BORN, UNKNOWN, read_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer
    from tests.support.redis_faces import Face
    from yokedcache.stores.redis.results import RaisedFence, Stamp


class History:
    """
    A reader, a writer, and a row that is 0 until the writer's commit makes it 1.
    """

    def __init__(self, face: Face, lost: str = "everything") -> None:
        self.face = face
        self.lost = lost
        self.row = 0
        self.versions: set[bytes] = set()
        self.before: set[bytes] = set()
        self.stamp: Stamp
        self.fence: RaisedFence
        self.read = 0
        self.use(face.stamp("a").vector.versions)
        self.free()
        assert face.fill("k", b"0", "a") is None

    def free(self) -> None:
        """
        Take down what stands for lost fences: where keys are evicted, all begin with it.
        """
        server, tag = self.face.server, self.face.tag("a")
        version = server.say("GET", tag).partition(";")[0]
        server.say("SET", tag, version, "PX", 60_000)

    def use(self, versions: list[bytes]) -> None:
        assert not self.before & set(versions)
        self.versions |= set(versions)

    def reader(self) -> Iterator[None]:
        self.stamp = self.face.stamp("a")
        self.use(self.stamp.vector.versions)
        yield
        self.read = self.row
        yield
        self.face.put("k", b"%d" % self.read, self.stamp)
        yield

    def writer(self) -> Iterator[None]:
        self.fence = self.face.fence("a")
        self.use([self.fence.version])
        yield
        self.row = 1
        yield
        self.use([self.face.do(self.face.commands.lift(self.fence)).version])
        yield

    def server(self) -> Iterator[None]:
        say, counter = self.face.server.say, self.face.layout.counter.decode()
        if self.lost == "everything":
            say("FLUSHALL")
        else:
            say("DEL", self.face.tag("a") if self.lost == "tag" else counter)
        if self.lost != "counter":
            self.before = set(self.versions)
        yield

    def judge(self) -> None:
        """
        Once somebody may have read the new row, nobody is given the old one.
        """
        found = self.face.read("k", "a")
        assert found != b"0" or not self.row


ORDERS = sorted(set(itertools.permutations("rrrwwwf")))


@pytest.mark.parametrize(
    "lost", ["everything", "tag", pytest.param("counter", marks=pytest.mark.night)]
)
def test_lost_between_any_two_steps_nothing_old_is_served(
    redis_server: RedisServer, open_face: Callable[..., Face], lost: str
) -> None:
    # a single key is lost where any may be evicted, and known to be
    policy = "noeviction" if lost == "everything" else "allkeys-lru"
    redis_server.flush()
    redis_server.configure(maxmemory_policy=policy)
    face = open_face(redis_server)
    face.settle()
    # a policy that evicts is remembered, and look-ups keep a connection of their own
    face.read("k", "b")
    face.fill("k", b"", "b")
    redis_server.configure(maxmemory_policy="noeviction")
    assert len(ORDERS) == 140
    for order in ORDERS:
        redis_server.say("FLUSHALL")
        face.settle()
        history = History(face, lost)
        actors = {
            "r": history.reader(),
            "w": history.writer(),
            "f": history.server(),
        }
        for actor in order:
            next(actors[actor])
            history.judge()


def test_without_a_loss_the_new_row_is_cached_afterwards(face: Face) -> None:
    for order in sorted(set(itertools.permutations("rrrwww"))):
        history = History(face)
        actors = {"r": history.reader(), "w": history.writer()}
        for actor in order:
            next(actors[actor])
            history.judge()
        assert face.fill("k", b"1", "a") is None
        assert face.read("k", "a") == b"1"


def test_a_dead_writers_commit_is_not_missed_after_a_loss(
    each_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    each_server.flush()
    face = open_face(each_server, lease=1.0)
    face.fence("a")
    each_server.flush()
    # whether its commit came through is not known yet: the row may still be the old one
    assert face.fill("k", b"0", "a") == "commit_in_flight"
    wait_until(lambda: face.fill("k", b"1", "a") is None)
    assert face.read("k", "a") == b"1"


def test_a_living_writers_fence_is_put_back_before_tags_are_free(
    each_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    each_server.flush()
    face = open_face(each_server, lease=1.0)
    fence = face.fence("a")
    each_server.flush()
    assert face.do(face.commands.renew(fence)) == 1
    tag = face.tag("b")
    wait_until(lambda: face.stamp("b").unusable is None)
    assert face.stamp("a").unusable == "commit_in_flight"
    assert face.lift(fence) == 0
    wait_until(lambda: face.stamp("a").unusable is None)
    assert each_server.say("PTTL", tag) > 0


def test_a_tag_that_was_deleted_while_fenced(face: Face) -> None:
    face.fill("k", b"0", "a")
    fence = face.fence("a")
    face.server.say("DEL", face.tag("a"))
    assert face.read("k", "a") == "tag_lost"
    assert face.fill("k", b"0", "a") is None
    assert face.lift(fence) == 1
    assert face.read("k", "a") == "changed"


def test_a_counter_that_was_deleted_repeats_no_version(face: Face) -> None:
    face.fill("k", b"v", "a")
    seen = {face.bump("a") for _ in range(3)}
    face.server.say("DEL", face.layout.counter.decode())
    after = {face.bump("a") for _ in range(3)}
    assert not seen & after
    assert {version[:8] for version in seen} == {version[:8] for version in after}
    # tags that were not lost need no fence
    assert face.fill("k", b"v", "a") is None
    assert face.stamp("new").unusable == "commit_in_flight"


@pytest.mark.parametrize("key", ["tag", "counter"])
def test_values_of_another_kind_are_replaced(face: Face, key: str) -> None:
    face.fill("k", b"v", "a")
    name = face.tag("a") if key == "tag" else face.layout.counter.decode()
    face.server.say("DEL", name)
    face.server.say("RPUSH", name, "x")
    assert face.read("k", "a") == ("tag_lost" if key == "tag" else b"v")
    fence = face.fence("a")
    assert face.read("k", "a") == "commit_in_flight"
    face.lift(fence)
    stamp = face.stamp("a")
    assert stamp.unusable == ("commit_in_flight" if key == "tag" else None)


def _values(own: bytes) -> st.SearchStrategy[bytes]:
    version = st.sampled_from([b"%b.7" % own, b"abcdefgh12345678.7", b"x.7", own])
    piece = st.sampled_from(
        [b";t,1,", b";0,1,", b";t,1", b";t,x,", b",", b"8", b"\n", b";t,9,a=", b";,1,"]
    )
    made = st.builds(lambda one, more: one + b"".join(more), version, st.lists(piece))
    return made | st.binary(max_size=40)


@settings(max_examples=60, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_garbage_reads_the_same_here_and_in_scripts(
    face: Face, data: st.DataObject
) -> None:
    face.settle()
    value = data.draw(_values(face.bump().partition(b".")[0]))
    with redis.Redis.from_url(face.server.url()) as client:
        client.set(face.tag("a"), value)
    state = read_tag(value)
    found = face.do(face.commands.read("k", ["a"]))
    assert found.stamp.unusable or state.usable
    face.bump("a")
    after = read_tag(face.server.say("GET", face.tag("a")).encode())
    assert after.version is not None
    replaced = state is UNKNOWN
    tokens = [fence.token for fence in state.fences]
    left = [BORN] if replaced else [token for token in tokens if token != BORN]
    assert [fence.token for fence in after.fences] == left


def test_where_any_key_may_be_evicted_new_tags_are_born_fenced(
    make_redis: Callable[..., RedisServer],
    open_face: Callable[..., Face],
    redis_kind: Any,
) -> None:
    server = make_redis(redis_kind, policy="allkeys-lru", maxmemory="50mb")
    face = open_face(server, lease=1.0)
    face.settle()
    assert face.fill("k", b"v", "a") == "commit_in_flight"
    (state,) = face.stamp("a").states
    assert state.orphaned
    assert server.say("PTTL", face.tag("a")) > 60_000
    wait_until(lambda: face.fill("k", b"v", "a") is None)
    assert face.read("k", "a") == b"v"
    fence = face.fence("a", "b")
    face.lift(fence)
    assert face.fill("k", b"v", "a") is None
    # a writer made it: somebody else's fence may have been in the key that is gone
    assert face.fill("k", b"v", "b") == "commit_in_flight"
    wait_until(lambda: face.fill("k", b"v", "b") is None)


def test_it_is_noticed_that_keys_are_evicted_from_now_on(
    redis_server: RedisServer,
    open_face: Callable[..., Face],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incarnation, "READ_AGAIN", 0.0)
    monkeypatch.setattr(incarnation, "TRUSTED", 0.0)
    face = open_face(redis_server)
    face.settle()
    face.fence("a")  # by a writer who dies
    redis_server.configure(maxmemory_policy="allkeys-lru")
    redis_server.say("DEL", face.tag("a"))  # as the server would
    assert face.fill("k", b"old", "a") == "commit_in_flight"
    assert face.read("k", "a") != b"old"


def test_a_server_that_restarts_with_its_data_serves_none_of_it(
    make_redis: Callable[..., RedisServer],
    open_face: Callable[..., Face],
    redis_kind: Any,
) -> None:
    server = make_redis(redis_kind, persistence="log")
    face = open_face(server, lease=1.0)
    face.settle()
    assert face.fill("k", b"v", "a") is None
    fence = face.fence("b")
    server.restart()
    face.idle()
    assert face.read("k", "a") == "incarnation"
    early = face.do(face.commands.read("k", ["a"])).stamp
    assert early.incomplete
    assert face.put("k", b"v", early) == "incarnation"
    assert face.stamp("a").unusable == "commit_in_flight"
    # a fence that was kept is still one
    assert face.do(face.commands.renew(fence)) == 1
    wait_until(lambda: face.fill("k", b"v", "a") is None)
    assert face.read("k", "a") == b"v"
    assert face.stamp("b").unusable == "commit_in_flight"
    assert face.lift(fence) == 0

"""
Nodes that take each other's place, and slots that move: what was there before is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until
from tests.services.redis import GROUPED, RedisCluster, RedisKind
from tests.services.redis.groups import catch_up, is_attached
from tests.support.redis_faces import FACES, ClusterFace
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.redis import RedisServer
    from yokedcache.stores.redis.cluster.layout import SpreadTags

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=GROUPED, ids=lambda kind: kind.name)
def cluster(request: pytest.FixtureRequest) -> Iterator[RedisCluster]:
    """
    Give a Cluster whose nodes may change places: all of them stay alive.
    """
    kind: RedisKind = request.param
    with RedisCluster.running(kind, replicas=True) as running:
        yield running


@pytest.fixture(params=FACES)
def face(
    request: pytest.FixtureRequest, cluster: RedisCluster
) -> Iterator[ClusterFace]:
    wait_until(cluster.all_follow)
    for node in cluster.masters():
        node.flush()
    made = ClusterFace(request.param, cluster)
    made.settle()
    yield made
    made.close()


def slot_of(face: ClusterFace, tag: str) -> int:
    tags: SpreadTags = face.commands.tags([tag])
    return tags.shares[0].island.slot


def replica_of(face: ClusterFace, primary: RedisServer) -> RedisServer:
    return next(n for n in face.cluster.nodes if is_attached(n, primary))


def take_over(face: ClusterFace, tag: str) -> RedisServer:
    """
    Let the replica of a tag's owner take its place, asking nobody.
    """
    old = face.cluster.owner(face.tag(tag))
    new = replica_of(face, old)
    catch_up(new, old)
    new.say("CLUSTER", "FAILOVER", "TAKEOVER")
    assert face.cluster.fail_over(face.tag(tag), old) is new
    return new


def test_a_bump_that_a_promoted_replica_never_heard_of(face: ClusterFace) -> None:
    tag, other = face.on_nodes(2)
    assert face.fill("k", b"old", tag, other) is None
    key = face.tag(tag)
    kept = face.say(key, "GET", key)
    face.bump(tag)
    new = take_over(face, tag)
    new.say("SET", key, kept)
    assert face.read("k", tag, other) in {"tag_lost", "absent"}
    assert face.read("k", tag, other) in {"tag_lost", "absent"}
    # what stands for fences that may be lost is there for a lease
    assert face.stamp(tag).unusable == "commit_in_flight"
    assert face.stamp(other).unusable is None or face.stamp(other).incomplete


def test_a_stamp_of_before_stores_nothing_after_it(face: ClusterFace) -> None:
    tag, other = face.on_nodes(2)
    stamp = face.stamp(tag, other)
    note = face.do(face.commands.note())
    key = face.tag(tag)
    kept = face.say(key, "GET", key)
    new = take_over(face, tag)
    new.say("SET", key, kept)
    assert face.put("k", b"old", stamp) == "incarnation"
    assert not face.stamp(tag).vector.not_after(note)


def test_a_client_follows_a_slot(face: ClusterFace) -> None:
    tag, *_ = face.on_nodes(3)
    assert face.fill("k", b"v", tag) is None
    old = face.cluster.owner(face.tag(tag))
    new = next(node for node in face.cluster.masters() if node is not old)
    with face.cluster.moving(slot_of(face, tag), old, new):
        pass
    assert face.read("k", tag) == "tag_lost"
    assert face.stamp(tag).unusable == "commit_in_flight"
    face.settle()
    # nothing has changed it while it was away, so it counts where it was given
    with face.cluster.moving(slot_of(face, tag), new, old):
        pass
    assert face.read("k", tag) != b"old"


@pytest.mark.parametrize("carried", ["counter", "tag", "nothing", "everything"])
def test_a_commit_while_a_slot_is_moving(face: ClusterFace, carried: str) -> None:
    tag, other = face.on_nodes(2)
    assert face.fill("k", b"old", tag, other) is None
    assert face.fill("alone", b"old", tag) is None
    (share,) = face.commands.tags([tag]).shares
    key, counter = face.tag(tag), share.island.counter.decode()
    old = face.cluster.owner(key)
    new = next(node for node in face.cluster.masters() if node is not old)
    with face.cluster.moving(share.island.slot, old, new) as keys:
        assert {key, counter} <= set(keys)
        if carried in {"counter", "everything"}:
            face.cluster.carry(counter, old, new)
        if carried in {"tag", "everything"}:
            face.cluster.carry(key, old, new)
        else:
            assert face.read("k", tag, other) == b"old"
        stamp = face.stamp(tag, other)
        fence = face.fence(tag, other)
        gone = {"commit_in_flight", "changed", "tag_lost"}
        assert face.read("k", tag, other) in gone
        assert face.read("alone", tag) in gone
        # nobody can make it anew before the move is over
        assert face.stamp(tag, other).unusable is not None
        assert face.put("k", b"old", stamp) is not None
        assert face.fill("alone", b"old", tag) is not None
        if carried == "counter":
            with pytest.raises(StoreError, match="refused to renew"):
                face.do(face.commands.renew(fence))
    assert face.fill("k", b"old", tag, other) == "commit_in_flight"
    lost = face.do(face.commands.renew(fence))
    assert lost == 1  # it was dropped: nobody follows, so the log's key isn't there
    face.lift(fence)
    assert face.read("k", tag, other) != b"old"
    with face.cluster.moving(share.island.slot, new, old):
        pass


def test_an_announcement_finds_a_tag_on_either_side(face: ClusterFace) -> None:
    tag, *_ = face.on_nodes(2)
    (share,) = face.commands.tags([tag]).shares
    key, counter = face.tag(tag), share.island.counter.decode()
    old = face.cluster.owner(key)
    new = next(node for node in face.cluster.masters() if node is not old)
    face.stamp(tag)
    with face.cluster.moving(share.island.slot, old, new):
        face.cluster.carry(key, old, new)
        assert new.say("CLUSTER", "COUNTKEYSINSLOT", share.island.slot) == 1
        face.bump(tag)  # the counter is here, the tag there
        assert new.say("CLUSTER", "COUNTKEYSINSLOT", share.island.slot) == 0
        assert old.say("EXISTS", counter) == 1
        face.bump("elsewhere", tag)
    with face.cluster.moving(share.island.slot, new, old):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", FACES)
def test_a_node_that_hung_is_not_asked_before_others_have_spoken(kind: str) -> None:
    with RedisCluster.running(replicas=True) as cluster:
        face, other = ClusterFace(kind, cluster), ClusterFace(kind, cluster)
        face.settle()
        (tag,) = face.on_nodes(1)
        assert face.fill("k", b"old", tag) is None
        assert face.read("k", tag) == b"old"
        old = cluster.owner(face.tag(tag))
        # it goes on only at the end: whoever asked it would wait
        with old.suspended():
            cluster.fail_over(face.tag(tag), old)
            other.bump(tag)
            assert face.read("k", tag) in {"tag_lost", "absent", "commit_in_flight"}
        face.close()
        other.close()

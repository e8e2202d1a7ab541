"""
Entries and tags on the nodes of a Cluster: the same rules, and no script for two slots.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.services.redis import GROUPED, RedisCluster, RedisKind
from tests.support.redis_faces import FACES, TIMES, ClusterFace
from yokedcache.errors import StoreError
from yokedcache.stores.redis.cluster.aio import AsyncClusterStore
from yokedcache.stores.redis.cluster.commands import ClusterCommands
from yokedcache.stores.redis.cluster.layout import (
    ISLANDS,
    NAMES,
    SLOTS,
    ClusterLayout,
    slot_of,
)
from yokedcache.stores.redis.cluster.table import Table
from yokedcache.stores.redis.layout import is_next, not_after
from yokedcache.stores.redis.results import Hit
from yokedcache.stores.redis.ways import read_way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=GROUPED, ids=lambda kind: kind.name)
def cluster(request: pytest.FixtureRequest) -> Iterator[RedisCluster]:
    """
    Give a Cluster of each kind, which the tests of a module share and don't break.
    """
    kind: RedisKind = request.param
    with RedisCluster.running(kind) as running:
        yield running


@pytest.fixture(params=FACES)
def open_face(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., ClusterFace]]:
    opened: list[ClusterFace] = []

    def connect(cluster: RedisCluster, **options: Any) -> ClusterFace:
        opened.append(ClusterFace(request.param, cluster, **options))
        return opened[-1]

    yield connect
    for face in opened:
        face.close()


@pytest.fixture
def face(cluster: RedisCluster, open_face: Callable[..., ClusterFace]) -> ClusterFace:
    for node in cluster.primaries:
        node.flush()
    made = open_face(cluster)
    made.settle()
    return made


def test_islands_lie_evenly() -> None:
    assert len(set(NAMES)) == ISLANDS
    assert [slot_of(b"%d" % name) * ISLANDS // SLOTS for name in NAMES] == [
        *range(ISLANDS)
    ]


def test_the_servers_agree_on_the_slots(face: ClusterFace) -> None:
    witness = face.cluster.primaries[0]
    for island in face.layout.islands[:5]:
        assert int(witness.say("CLUSTER", "KEYSLOT", island.counter)) == island.slot
    (share,) = face.commands.tags(["x"]).shares
    assert int(witness.say("CLUSTER", "KEYSLOT", face.tag("x"))) == share.island.slot
    entry = face.layout.entry("k")
    assert int(witness.say("CLUSTER", "KEYSLOT", entry)) == slot_of(entry)


def test_an_entry_with_tags_on_all_nodes(face: ClusterFace) -> None:
    tags = face.on_nodes(3)
    assert face.read("k", *tags) == "absent"
    assert face.fill("k", b"v", *tags) is None
    assert face.read("k", *tags) == b"v"
    assert face.read("k") == b"v"  # its tags are asked for afterwards
    for tag in tags:
        face.bump(tag)
        assert face.read("k", *tags) == "changed"
        assert face.fill("k", b"v", *tags) is None
    found = face.do(face.commands.read("k", tags))
    assert isinstance(found, Hit)
    assert face.do(face.commands.exists("k", tags))
    later = TIMES.__class__(2.0, 62.0, 122.0)
    assert face.do(face.commands.extend("k", later, life=60, tags=tags))
    assert face.do(face.commands.read("k")).times.born == 2.0
    assert face.do(face.commands.remove("k", tags))
    assert not face.do(face.commands.exists("k", tags))


def test_a_fence_stands_on_every_node(face: ClusterFace) -> None:
    tags = face.on_nodes(3)
    stamp = face.stamp(*tags)
    fence = face.fence(*tags)
    for tag in tags:
        assert face.fill(f"k{tag}", b"old", tag) == "commit_in_flight"
    assert face.put("k", b"old", stamp) == "commit_in_flight"
    assert face.do(face.commands.renew(fence)) == 0
    assert face.lift(fence) == 0
    assert face.put("k", b"old", stamp) == "changed_meanwhile"
    assert face.lift(fence) == 3
    assert face.fill("k", b"new", *tags) is None
    fence = face.fence(*tags)
    for tag in tags:
        face.say(face.tag(tag), "DEL", face.tag(tag))
    assert face.do(face.commands.renew(fence)) == 3
    assert face.read("k", *tags) == "commit_in_flight"
    assert face.do(face.commands.adopt(tags, fence.token)) == [False] * 3


def test_an_orphaned_fence_is_adopted(
    cluster: RedisCluster, open_face: Callable[..., ClusterFace]
) -> None:
    face = open_face(cluster, lease=0.001)
    tags = face.on_nodes(2)
    fence = face.fence(*tags)
    adopted: list[bool] = []

    def both_were() -> bool:  # each as soon as its lease has run out
        adopted.extend(face.do(face.commands.adopt([*tags, "other"], fence.token)))
        return sum(adopted) == 2

    wait_until(both_were)


def test_a_tag_lives_as_long_as_what_has_it(face: ClusterFace) -> None:
    tags = face.on_nodes(2)
    stamp = face.do(face.commands.stamp(tags))
    operation = face.commands.store("k", b"v", stamp, TIMES, life=5000)
    assert face.do(operation) is None
    for tag in tags:
        assert int(face.say(face.tag(tag), "PTTL", face.tag(tag))) > 4_000_000


def test_versions_are_judged_by_their_own_counter(face: ClusterFace) -> None:
    tags = face.on_nodes(3)
    face.stamp(*tags)
    note = face.do(face.commands.note())
    assert len(note.split()) == ISLANDS
    assert face.stamp(*tags).vector.not_after(note)
    assert face.stamp(*tags).counter == note
    face.bump(tags[1])
    before, bumped, after = (face.stamp(tag).vector.versions[0] for tag in tags)
    assert not_after(before, note)
    assert not_after(after, note)
    assert not not_after(bumped, note)
    assert is_next(bumped, note)
    assert not is_next(before, note)
    made = face.stamp(*tags, "made just now")
    assert len(made.made) == 1
    (place,) = made.made
    assert is_next(made.vector.versions[place], made.counter)


def test_an_empty_cluster_is_trusted_after_one_lease_everywhere(
    cluster: RedisCluster, open_face: Callable[..., ClusterFace]
) -> None:
    for node in cluster.primaries:
        node.flush()
    face = open_face(cluster)
    assert face.stamp("a").unusable == "commit_in_flight"
    assert len(face.do(face.commands.note()).split()) == ISLANDS
    for island in face.layout.islands:
        assert face.say(island.counter.decode(), "EXISTS", island.counter) == 1


def test_what_lies_there_that_is_not_ours(face: ClusterFace) -> None:
    (tag,) = face.on_nodes(1)
    key = face.tag(tag)
    face.fill("k", b"v", tag)
    face.say(key, "DEL", key)
    assert face.read("k", tag) == "tag_lost"
    face.say(key, "SADD", key, "x")
    assert face.read("k", tag) == "tag_unknown"
    assert face.stamp(tag).unusable == "commit_in_flight"  # replaced, as a lost one
    entry = face.layout.entry("k").decode()
    face.say(entry, "DEL", entry)
    face.say(entry, "SADD", entry, "x")
    assert face.read("k", tag) == "foreign"
    face.do(face.commands.remove("k", [tag]))
    assert face.read("k", tag) == "absent"


def test_an_entry_without_tags(face: ClusterFace) -> None:
    assert face.fill("k", b"v") is None
    assert face.read("k") == b"v"
    assert face.bump() == b""


def test_many_look_ups_of_one_turn_go_in_one_packet_a_node(
    cluster: RedisCluster,
) -> None:
    for node in cluster.primaries:
        node.flush()
    face = ClusterFace("async", cluster)
    tags = face.on_nodes(3)
    face.settle()
    for number in range(40):
        face.fill(f"k{number}", b"%d" % number, *tags)
    packets: list[int] = []

    async def all_at_once() -> list[Any]:
        for _, batches in face.store._nodes.values():
            whole = batches._do

            async def counted(
                operations: Any, seconds: float, whole: Any = whole
            ) -> Any:
                packets.append(len(operations))
                return await whole(operations, seconds)

            batches._do = counted
        reads = [
            face.store.perform(face.commands.read(f"k{number % 40}", tags))
            for number in range(80)
        ]
        return await asyncio.gather(*reads)

    found = face.runner.run(all_at_once())
    assert [bytes(one.payload) for one in found] == [
        b"%d" % (n % 40) for n in range(80)
    ]
    assert len(packets) == 3
    assert sum(packets) == 40 + 3  # each entry once, each tag once
    face.close()


def test_nodes_that_are_none_of_a_cluster_are_named(
    redis_url: str, open_face: Callable[..., ClusterFace], cluster: RedisCluster
) -> None:
    face = open_face(cluster)
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    face.store.table = Table([("127.0.0.1", 1), ("127.0.0.1", port)])
    with pytest.raises(StoreError, match="no node of the Cluster says") as caught:
        face.read("k")
    assert "127.0.0.1:1: " in str(caught.value)
    assert f"127.0.0.1:{port}: it is no node of a Cluster, which" in str(caught.value)


async def test_closing_leaves_no_node_being_asked() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def say_nothing(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(1)
        asked.set()
        while await reader.read(1024):
            pass
        writer.close()
        gone.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1") as silent:
        port = silent.sockets[0].getsockname()[1]
        way = read_way(f"redis+cluster://127.0.0.1:{port}")
        store = AsyncClusterStore(way, limit=60.0)
        commands = ClusterCommands(ClusterLayout())
        caller = asyncio.ensure_future(store.perform(commands.read("k")))
        await asked.wait()
        await store.aclose()
        with pytest.raises(StoreError, match="closed meanwhile"):
            await caller
        await gone.wait()

"""
The users that the docs tell to make may do what is needed, and nothing that isn't.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.redis import GROUPED, RedisCluster
from tests.support.redis_faces import FACES, ClusterFace
from tests.support.redis_users import (
    APP,
    IN_A_CLUSTER,
    PREFIX,
    as_user,
    commands,
    denied,
    do_everything,
    give,
    refusals,
    url_for,
)
from yokedcache.errors import StoreError
from yokedcache.stores.redis.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisKind, RedisServer
    from tests.support.redis_faces import Face

LONGEST = 500
_WORDS = re.compile(
    "(permissions to run the '.*' command|can't run this command).*; the"
)

pytestmark = pytest.mark.timeout(120)

EVERYWHERE = [*APP, *IN_A_CLUSTER]


def open_as_user(open_face: Callable[..., Face], server: RedisServer) -> Face:
    return open_face(server, url=url_for(server), prefix=PREFIX)


def names(failed: list[StoreError], command: str) -> bool:
    """
    Tell whether a line says which command is missing, and what to do.
    """
    lines = [str(error) for error in failed]
    assert not any("\n" in line or len(line) > LONGEST for line in lines)
    return any(f"lacks `+{command}`: `ACL SETUSER`" in line for line in lines)


def test_the_user_of_the_docs_may_do_everything(
    each_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    each_server.flush()
    give(each_server, APP)
    face = open_as_user(open_face, each_server)
    face.settle()
    do_everything(face)
    # something else lies where an entry should
    key = Layout(PREFIX)._entry + face.layout.entry("x").removeprefix(b"yc:e:")
    each_server.say("SADD", key, "member")
    assert not face.do(face.commands.remove("x", ["a"]))
    assert not each_server.say("EXISTS", key)
    assert denied(each_server) == []


@pytest.mark.parametrize("command", commands(APP))
def test_who_lacks_a_command_is_told_which(
    each_server: RedisServer, open_face: Callable[..., Face], command: str
) -> None:
    each_server.flush()
    give(each_server, APP)
    open_as_user(open_face, each_server).settle()
    each_server.say("SCRIPT", "FLUSH")
    give(each_server, APP, but=command)
    failed = refusals(open_as_user(open_face, each_server))
    assert names(failed, command)
    assert {error.refusal for error in failed} == {"NOPERM"}
    assert all(_WORDS.search(str(error)) for error in failed)


def test_who_lacks_the_keys_is_told_so(
    each_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    each_server.flush()
    give(each_server, [*APP[:2], "~shop:*", *APP[3:]])
    failed = refusals(open_as_user(open_face, each_server))
    assert all("lacks `~prefix:*`: `ACL SETUSER`" in str(error) for error in failed)
    assert len(failed) > 1


@pytest.fixture(scope="module", params=GROUPED, ids=lambda kind: kind.name)
def cluster(request: pytest.FixtureRequest) -> Iterator[RedisCluster]:
    """
    Give a Cluster of each kind, which the tests of a module share and don't break.
    """
    kind: RedisKind = request.param
    with RedisCluster.running(kind) as running:
        yield running


@pytest.fixture(params=FACES)
def open_in_cluster(
    request: pytest.FixtureRequest, cluster: RedisCluster
) -> Iterator[Callable[[], ClusterFace]]:
    for node in cluster.nodes:
        node.flush()
    opened: list[ClusterFace] = []

    def connect() -> ClusterFace:
        url = as_user(cluster.url())
        opened.append(ClusterFace(request.param, cluster, url=url, prefix=PREFIX))
        return opened[-1]

    yield connect
    for face in opened:
        face.close()


def bump_on_the_move(face: ClusterFace) -> None:
    """
    Bump a tag while the keys of its slot travel: it is there already.
    """
    cluster = face.cluster
    key, slot = face.tag("moves"), face.commands.tags(["moves"]).shares[0].island.slot
    old = cluster.owner(key)
    new = next(node for node in cluster.primaries if node is not old)
    failed = None
    with cluster.moving(slot, old, new):
        cluster.carry(key, old, new)
        try:
            face.bump("moves")
        except StoreError as error:
            failed = error
    if failed is not None:  # not before the slot has moved
        raise failed


def prepare(cluster: RedisCluster, rules: list[str], *, but: str = "") -> None:
    for node in cluster.nodes:
        give(node, rules, but=but)


def test_the_user_of_the_docs_may_do_everything_in_a_cluster(
    cluster: RedisCluster, open_in_cluster: Callable[[], ClusterFace]
) -> None:
    prepare(cluster, EVERYWHERE, but="mget")
    face = open_in_cluster()
    face.settle()
    do_everything(face)
    face.stamp("moves")
    bump_on_the_move(face)
    assert [denied(node) for node in cluster.nodes] == [[]] * len(cluster.nodes)


@pytest.mark.parametrize("command", ["cluster|slots", "asking", "persist", "getex"])
def test_who_lacks_a_command_in_a_cluster_is_told_which(
    cluster: RedisCluster,
    open_in_cluster: Callable[[], ClusterFace],
    command: str,
) -> None:
    prepare(cluster, EVERYWHERE)
    face = open_in_cluster()
    face.settle()
    face.stamp("moves")
    prepare(cluster, EVERYWHERE, but=command)
    other: Any = open_in_cluster()
    failed = refusals(other, lambda: bump_on_the_move(other))
    assert names(failed, command)

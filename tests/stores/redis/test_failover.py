"""
Which server answers: replicas are refused, and what was stamped in another life is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel

from tests.services.processes import wait_until
from tests.services.redis import KINDS, RedisKind, ReplicaPair, Variant
from tests.services.redis.groups import attach
from tests.support.redis_faces import NEVER_LATE
from yokedcache.errors import StoreError
from yokedcache.stores.redis import aio, aio_client, incarnation, sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer, SentinelGroup
    from tests.support.redis_faces import Face


def test_a_replica_is_refused(
    redis_pair: ReplicaPair, open_face: Callable[..., Face]
) -> None:
    face = open_face(redis_pair.replica)
    address = f"127.0.0.1:{redis_pair.replica.port}"
    with pytest.raises(StoreError, match=f"{address} can't read: .* is a slave"):
        face.read("k", "a")
    with pytest.raises(StoreError, match="only a primary"):
        face.fence("a")


@pytest.mark.parametrize("trusted", [0.0, 1000.0], ids=["looks", "trusts"])
def test_a_server_that_becomes_a_replica_under_an_open_connection_serves_nothing(
    redis_pair: ReplicaPair,
    open_face: Callable[..., Face],
    monkeypatch: pytest.MonkeyPatch,
    trusted: float,
) -> None:
    # by INFO that goes along, and without it: GETEX is refused
    monkeypatch.setattr(incarnation, "TRUSTED", trusted)
    old, new = redis_pair.primary, redis_pair.replica
    face = open_face(old)
    face.settle()
    face.fill("k", b"old", "a")
    stamp = face.stamp("a")
    assert face.read("k", "a") == b"old"
    redis_pair.swap()
    other = open_face(new)
    other.bump("a")
    with pytest.raises(StoreError, match=r"READONLY|read only|is a slave"):
        face.read("k", "a")
    with pytest.raises(StoreError, match="is a slave"):
        face.put("k", b"old", stamp)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_primary_that_wants_its_replicas_answers_nothing_without_them(
    kind: RedisKind, open_face: Callable[..., Face]
) -> None:
    settings = {"min-replicas-to-write": "1", "min-replicas-max-lag": "10"}
    variant = Variant(options=settings)
    with ReplicaPair.running(kind, variant) as pair:
        face = open_face(pair.primary)
        wait_until(lambda: pair.primary.info()["min_slaves_good_slaves"] == "1")
        face.settle()
        face.fill("k", b"old", "a")
        assert face.read("k", "a") == b"old"
        early = face.fence("b")
        pair.replica.say("REPLICAOF", "NO", "ONE")
        wait_until(lambda: pair.primary.info()["connected_slaves"] == "0")
        with pytest.raises(StoreError, match="NOREPLICAS"):
            face.read("k", "a")
        for change in (
            lambda: face.fence("a"),
            lambda: face.bump("a"),
            lambda: face.lift(early),
        ):
            with pytest.raises(StoreError, match="NOREPLICAS"):
                change()


@pytest.mark.parametrize("connection", ["new", "open"])
def test_hole_17_a_bump_that_was_lost_in_a_failover_and_back(
    redis_pair: ReplicaPair, open_face: Callable[..., Face], connection: str
) -> None:
    first, second = redis_pair.primary, redis_pair.replica
    face = open_face(first)
    face.settle()
    assert face.fill("k", b"old", "a") is None
    early = face.stamp("a")
    redis_pair.caught_up()
    run = first.info("server")["run_id"]
    kept = first.say("GET", face.tag("a"))
    # the second is promoted without a bump that the first has acknowledged
    second.say("REPLICAOF", "NO", "ONE")
    face.lift(face.fence("a"))
    assert face.read("k", "a") in {"changed", "tag_lost"}  # its lease may be over
    # the first follows, takes over what the second has, and comes back
    attach(first, second)
    first.say("REPLICAOF", "NO", "ONE")
    assert first.info("server")["run_id"] == run
    assert first.say("GET", face.tag("a")) == kept
    assert first.say("EXISTS", face.layout.entry("k").decode()) == 1
    if connection == "new":
        face = open_face(first)
    assert face.read("k", "a") == "incarnation"
    assert face.put("other", b"old", early) == "incarnation"
    assert face.stamp("a").unusable == "commit_in_flight"


def test_a_fence_that_was_lost_in_a_failover_is_made_up_for(
    redis_pair: ReplicaPair, open_face: Callable[..., Face]
) -> None:
    first, second = redis_pair.primary, redis_pair.replica
    face = open_face(first)
    face.settle()
    face.fill("k", b"old", "a")
    redis_pair.caught_up()
    second.say("REPLICAOF", "NO", "ONE")
    face.fence("a")
    other = open_face(second)
    assert other.read("k", "a") == "incarnation"
    assert other.fill("k", b"old", "a") == "commit_in_flight"


def by_name(face: Face, group: SentinelGroup) -> list[Any]:
    """
    Let a face ask the sentinels who the primary is; give the clients to be closed.
    """
    if face.kind == "sync":
        asked = Sentinel(group.addresses, socket_timeout=5.0)
        times = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0}
        client: Any = asked.master_for(group.name, **{**sync.OPTIONS, **times})
        face.store = sync.RedisStore(client, limit=NEVER_LATE)
        return [client, *asked.sentinels]
    found = AsyncSentinel(group.addresses, socket_timeout=5.0)
    client = found.master_for(group.name, **aio_client.OPTIONS)
    face.store = aio.AsyncRedisStore(client, limit=NEVER_LATE)
    return [client, *found.sentinels]


@pytest.mark.slow
def test_sentinels_lead_to_the_new_primary(
    redis_sentinel: SentinelGroup, open_face: Callable[..., Face]
) -> None:
    old = redis_sentinel.primary()
    face = open_face(old)
    face.settle()
    clients = by_name(face, redis_sentinel)
    face.fill("k", b"v", "a")
    assert face.read("k", "a") == b"v"
    old.kill()
    with pytest.raises(StoreError):
        face.read("k", "a")
    redis_sentinel.fail_over(old)
    assert face.read("k", "a") in {"incarnation", "absent"}
    assert face.stamp("a").unusable == "commit_in_flight"
    for client in clients:
        face.shut(client)


@pytest.mark.parametrize("way", ["socket", "password", "user", "tls", "database"])
def test_other_ways_to_one_server(
    make_redis: Callable[..., RedisServer], open_face: Callable[..., Face], way: str
) -> None:
    variants: dict[str, dict[str, Any]] = {
        "password": {"password": "s3cret/@"},
        "user": {"users": {"app": ">s3cret ~t:* -@all +@connection +@string +@scripting "
                           "+@keyspace +info +time"}},
        "tls": {"tls": True},
    }  # fmt: skip
    server = make_redis(**variants.get(way, {}))
    urls = {
        "socket": lambda: server.url(socket=True),
        "user": lambda: server.url(user="app", password="s3cret"),
        "database": lambda: server.url(3),
    }
    url = urls.get(way, server.url)()
    face = open_face(server, url=url, lease=0.05)
    face.bump("a")
    wait_until(lambda: face.fill("k", b"v", "a") is None)
    assert face.read("k", "a") == b"v"
    face.lift(face.fence("a"))
    assert face.read("k", "a") == "changed"

"""
Replica pairs, Sentinel and Cluster come up whole, and fail over when they have to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis
from redis.sentinel import Sentinel

from tests.services.processes import wait_until
from tests.services.redis import (
    RedisCluster,
    ReplicaPair,
    SentinelGroup,
    Valkey,
    Variant,
)
from tests.services.redis.groups import catch_up, is_attached

if TYPE_CHECKING:
    from tests.services.redis import RedisKind


def test_replica_has_what_its_primary_was_told(redis_kind: RedisKind) -> None:
    with ReplicaPair.running(redis_kind, Variant(password="hush")) as pair:
        pair.primary.say("SET", "a", "1")
        pair.caught_up()
        assert pair.replica.say("GET", "a") == "1"
        with (
            pair.replica.client() as client,
            pytest.raises(redis.exceptions.ReadOnlyError),
        ):
            client.set("a", "2")


def test_pair_swaps_and_swaps_back_without_a_restart(redis_pair: ReplicaPair) -> None:
    first, runs, epochs = redis_pair.primary, set(), []
    for number in range(3):
        redis_pair.primary.say("SET", "a", number)
        redis_pair.caught_up()
        if redis_pair.primary is first:
            runs.add(first.info("server")["run_id"])
        epochs.append(redis_pair.primary.info("replication")["master_replid"])
        redis_pair.swap()
        assert redis_pair.primary.say("GET", "a") == str(number)
    # what hole 17 is about: one run, but each reign has its own name
    assert len(runs) == 1
    assert len(set(epochs)) == 3


def test_sentinels_name_the_primary(redis_kind: RedisKind) -> None:
    secret = Variant(password="hush")
    with SentinelGroup.running(redis_kind, secret, replicas=2) as group:
        assert len(group.sentinels) == 3
        assert group.primary() is group.servers[0]
        client = Sentinel(group.addresses, socket_timeout=5)
        assert client.discover_master(group.name)[1] == group.servers[0].port
        replicas = {port for _, port in client.discover_slaves(group.name)}
        assert replicas == {server.port for server in group.servers[1:]}
        for sentinel in client.sentinels:
            sentinel.close()


@pytest.mark.parametrize("group", [ReplicaPair, SentinelGroup, RedisCluster])
def test_groups_are_built_with_tls_or_not_at_all(group: type[ReplicaPair]) -> None:
    with (
        pytest.raises(ValueError, match="without TLS"),
        group.running(Valkey(), Variant(tls=True)),
    ):
        pass


def test_sentinels_replace_a_suspended_primary_and_take_it_back(
    redis_sentinel: SentinelGroup,
) -> None:
    old = redis_sentinel.primary()
    with old.suspended():
        new = redis_sentinel.fail_over(old)
        new.say("SET", "a", "1")
    wait_until(lambda: is_attached(old, new))
    assert old.say("GET", "a") == "1"


def test_sentinels_promote_the_replica_of_a_killed_primary(
    redis_sentinel: SentinelGroup,
) -> None:
    old = redis_sentinel.primary()
    old.say("SET", "a", "1")
    catch_up(redis_sentinel.servers[1], old)
    old.kill()
    new = redis_sentinel.fail_over(old)
    assert new is not old
    new.say("SET", "b", "2")
    assert new.say("MGET", "a", "b") == ["1", "2"]


def test_cluster_serves_all_slots(redis_kind: RedisKind) -> None:
    secret = Variant(password="hush")
    with (
        RedisCluster.running(redis_kind, secret) as cluster,
        cluster.client() as client,
    ):
        keys = [f"key:{number}" for number in range(50)]
        assert {cluster.owner(key).port for key in keys} == {
            node.port for node in cluster.primaries
        }
        for key in keys:
            assert client.set(key, key)
        held = [int(node.say("DBSIZE")) for node in cluster.primaries]
        assert sum(held) == len(keys)
        assert all(held)


def test_cluster_promotes_the_replica_of_a_killed_primary(
    redis_cluster: RedisCluster,
) -> None:
    assert redis_cluster.is_complete()
    old = redis_cluster.owner("a")
    with redis_cluster.client() as client:
        client.set("a", "1")
    number = redis_cluster.primaries.index(old)
    catch_up(redis_cluster.replicas[number], old)
    old.kill()
    new = redis_cluster.fail_over("a", old)
    assert new is redis_cluster.replicas[number]
    assert new.say("GET", "a") == "1"
    with redis.RedisCluster(host=new.host, port=new.port) as client:
        assert client.set("a", "2")

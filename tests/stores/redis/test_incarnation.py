"""
What a server says of itself decides whether it may be a store, and in which life it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.redis_faces import AsyncFace
from yokedcache.errors import StoreError
from yokedcache.stores.redis.incarnation import INFO, Link, mark_of, read_info

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer
    from tests.support.redis_faces import Face

SAID = {
    "redis_version": "7.0.15",
    "run_id": "r1",
    "role": "master",
    "master_replid": "d1",
    "maxmemory_policy": "noeviction",
}


def info(**changed: str | None) -> bytes:
    facts = {**SAID, **changed}
    lines = [f"{name}:{value}" for name, value in facts.items() if value is not None]
    return "\r\n".join(["# Server", *lines, ""]).encode()


def test_a_primary_is_known_by_its_life() -> None:
    server = read_info(info())
    assert server.mark == mark_of("r1", "d1")
    assert len(server.mark) == 8
    marks = {
        read_info(info()).mark,
        read_info(info(run_id="r2")).mark,
        read_info(info(master_replid="d2")).mark,
    }
    assert len(marks) == 3


@pytest.mark.parametrize(
    ("policy", "evicts"),
    [
        ("noeviction", False),
        ("volatile-lru", False),
        ("volatile-ttl", False),
        ("allkeys-lru", True),
        ("allkeys-lfu", True),
        ("allkeys-random", True),
    ],
)
def test_it_is_known_whether_fences_may_be_evicted(policy: str, evicts: bool) -> None:
    assert read_info(info(maxmemory_policy=policy)).evicts is evicts


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"redis_version": "6.0.16"}, "Redis 6.0.16: Redis 6.2 or newer"),
        ({"redis_version": "5.0"}, "Redis 5.0: "),
        ({"redis_version": None}, "6.2 or newer"),
        ({"redis_version": "6.0", "valkey_version": "0.1"}, "Valkey 0.1: "),
        ({"role": "slave"}, "is a slave, and only a primary"),
        ({"role": None}, "is a stranger"),
        ({"master_replid": None}, "which data"),
        ({"run_id": None}, "who it is"),
        ({"maxmemory_policy": None}, "what it evicts"),
    ],
)
def test_what_can_not_be_a_store_is_refused(
    changed: dict[str, str | None], said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        read_info(info(**changed))


def test_the_oldest_that_will_do() -> None:
    assert read_info(info(redis_version="6.2.0")).version == "Redis 6.2.0"
    valkey = info(redis_version="7.2.4", valkey_version="9.1.2")
    assert read_info(valkey).version == "Valkey 9.1.2"


def test_only_a_new_life_is_learnt_anew() -> None:
    server = read_info(info())
    assert server.renewed(info()) is server
    again = server.renewed(info(master_replid="d2"))
    assert again.mark == mark_of("r1", "d2")
    assert again.version == server.version
    with pytest.raises(StoreError, match="is a slave"):
        server.renewed(info(role="slave"))


def test_how_a_server_is_set_is_learnt_again_each_second() -> None:
    link = Link(read_info(info()), 10.0, bytes)
    assert link.question(10.9) != INFO
    link.learn(info(), link.question(10.9), 10.9)
    assert link.question(11.0) == INFO
    link.learn(info(maxmemory_policy="allkeys-lru"), link.question(11.0), 11.0)
    assert link.server.evicts
    assert link.looked_at == 11.0
    assert link.question(11.9) != INFO
    assert link.question(12.0) == INFO
    link.learn(info(), link.question(12.0), 12.0)
    assert link.server.evicts  # what is lost stays lost


def connections(face: Any) -> list[Any]:
    """
    List what is open: in the pool, or staying.
    """
    staying = face.store.lines.free if isinstance(face, AsyncFace) else []
    pooled = face.store.pool._available_connections
    return [*pooled, *(line.connection for line in staying)]


def test_real_servers_are_known_by_name(
    each_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    face = open_face(each_server)
    face.stamp("a")
    said = each_server.info()
    (connection,) = connections(face)
    server = connection.yokedcache.server
    assert server.mark == mark_of(said["run_id"], said["master_replid"])
    name = "Valkey" if "valkey_version" in said else "Redis"
    assert server.version.startswith(name)
    assert not server.evicts

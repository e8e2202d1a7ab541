"""
A URL that leads elsewhere, or says who one isn't: at first use the error says the way out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis._parsers import _RESP2Parser

from tests.services.redis import RedisCluster
from tests.support.redis_faces import FACES, ClusterFace
from yokedcache.errors import StoreError
from yokedcache.stores.redis.faults import way_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer
    from tests.support.redis_faces import Face

SHORT = 0.2


def refused(face: Any, limit: float | None = None) -> StoreError:
    with pytest.raises(StoreError) as caught:
        face.do(face.commands.read("k", ["a"]), limit)
    error = caught.value
    assert error.facts.get("asked", "read") == "read"
    assert "s3cret" not in f"{error} {error.__cause__} {error.facts}"
    return error


@pytest.mark.parametrize(
    ("login", "refusal", "out"),
    [
        ("", "NOAUTH", "the URL names no password: redis://user:password@host"),
        (":wr0ng@", "WRONGPASS", "the URL's user or password is another than"),
        ("nobody:s3cret@", "WRONGPASS", "the URL's user or password is another than"),
    ],
)
def test_who_one_is_not(
    *,
    make_redis: Callable[..., RedisServer],
    open_face: Callable[..., Face],
    redis_kind: Any,
    login: str,
    refusal: str,
    out: str,
) -> None:
    server = make_redis(redis_kind, password="s3cret")
    url = f"redis://{login}{server.host}:{server.port}/0"
    error = refused(open_face(server, url=url))
    assert f"{server.host}:{server.port} refused to read: " in str(error)
    assert out in str(error)
    assert error.refusal == refusal
    assert isinstance(error.__cause__, redis.AuthenticationError)


def test_a_password_where_none_is_wanted(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    error = refused(open_face(redis_server, url=redis_server.url(password="pw")))
    assert "the URL names a password, and the server wants none" in str(error)


def test_tls_where_there_is_none(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    url = redis_server.url().replace("redis://", "rediss://")
    said = str(refused(open_face(redis_server, url=url, limit=SHORT)))
    assert "if that port speaks no TLS, the URL begins with redis, not rediss" in said


def test_no_tls_where_it_is_wanted(
    make_redis: Callable[..., RedisServer], open_face: Callable[..., Face]
) -> None:
    server = make_redis(tls=True)
    url = f"redis://{server.host}:{server.port}/0"
    said = str(refused(open_face(server, url=url)))
    assert "if that port speaks TLS, the URL begins with rediss, not redis" in said


def test_a_server_that_hangs_is_not_said_to_want_tls(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    face = open_face(redis_server)
    face.settle()
    with redis_server.suspended():
        assert "TLS" not in str(refused(face, SHORT))
    redis_server.kill()
    assert "TLS" not in str(refused(open_face(redis_server)))


@pytest.mark.parametrize(
    ("error", "tls"),
    [
        (
            redis.InvalidResponse(r'Protocol error, got "\x15" as reply type byte'),
            False,
        ),
        (redis.InvalidResponse(r"Protocol Error: b'\x15\x03\x03'"), False),
        (redis.ConnectionError("Connection closed by server."), False),
        (redis.ConnectionError("Error 1. [SSL: WRONG_VERSION_NUMBER] wrong"), True),
    ],
)
def test_other_ways_in_which_servers_say_so(error: Exception, tls: bool) -> None:
    assert "speaks" in way_out(error, tls=tls)
    assert "speaks" not in way_out(error, tls=not tls)


@pytest.mark.parametrize("text", ["NOAUTH Authentication required.", "NOPERM no"])
def test_every_refusal_of_who_one_is_has_a_way_out(text: str) -> None:
    assert way_out(_RESP2Parser.parse_error(text), tls=False)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster.running() as running:
        yield running


def test_a_node_of_a_cluster(
    cluster: RedisCluster, open_face: Callable[..., Face]
) -> None:
    node, far = cluster.primaries[:2]
    face = open_face(node)
    key = next(f"k{n}" for n in range(99) if _owner(cluster, face, f"k{n}") is far)
    out = r"it is a node of a Cluster, which redis\+cluster:// is for"
    with pytest.raises(StoreError, match=out) as moved:
        face.do(face.commands.read(key))
    assert "refused to read: MOVED " in str(moved.value)
    assert f" {far.host}:{far.port};" in str(moved.value)
    with pytest.raises(StoreError, match=out) as crossed:
        face.bump("a", "b")
    assert crossed.value.refusal == "CROSSSLOT"


def _owner(cluster: RedisCluster, face: Face, key: str) -> RedisServer:
    return cluster.owner(face.layout.entry(key).decode())


@pytest.mark.parametrize("kind", FACES)
def test_a_cluster_that_wants_a_password(cluster: RedisCluster, kind: str) -> None:
    for node in cluster.nodes:
        node.say("ACL", "SETUSER", "app", "on", ">s3cret", "~*", "+@all")
    url = cluster.url().replace("://", "://app:wr0ng@")
    face = ClusterFace(kind, cluster, url=url)
    said = str(refused(face))
    face.close()
    assert "no node of the Cluster says who serves what" in said
    assert said.count("the URL's user or password is another than the server's") == 1
    assert "the URL's hosts have to be" not in said

"""
What answers is not what the URL should lead to: the error says what it is, and the way out.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.services.memcached import MemcachedServer
from tests.support.redis_faces import FACES, ClusterFace
from yokedcache.errors import StoreError
from yokedcache.stores.redis.faults import way_out
from yokedcache.stores.redis.incarnation import read_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer, ReplicaPair, SentinelGroup
    from tests.support.redis_faces import Face

SPEAKS_NOT = "it answers as nothing does that speaks Redis' protocol"


class Web(BaseHTTPRequestHandler):
    """
    What answers as web servers do.
    """

    def log_message(self, *args: object) -> None:
        """
        Say nothing.
        """


@contextmanager
def web() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def memcached() -> Iterator[str]:
    with MemcachedServer.running() as server:
        yield server.address


def refused(face: Any) -> str:
    with pytest.raises(StoreError) as caught:
        face.do(face.commands.read("k", ["a"]))
    return str(caught.value)


@pytest.mark.parametrize("server", [web, memcached])
def test_another_kind_of_server(server: Any, open_face: Callable[..., Face]) -> None:
    with server() as address:
        said = refused(open_face(None, url=f"redis://u:s3cret@{address}/0"))
    assert f"{address} can't read: {SPEAKS_NOT} (Protocol error, got " in said
    assert "; the URL's scheme, host or port may be another's [" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("kind", FACES)
def test_another_kind_of_server_where_a_cluster_should_be(kind: str) -> None:
    with memcached() as address:
        face = ClusterFace(kind, None, url=f"redis+cluster://{address}")  # type: ignore[arg-type]
        said = refused(face)
        face.close()
    assert "Protocol error, got " in said
    assert ": the URL's scheme, host or port may be another's [" in said


@pytest.mark.parametrize("answer", [b"OK", 1, None, [b"x"]])
def test_an_answer_that_is_no_info(answer: Any) -> None:
    with pytest.raises(StoreError, match=SPEAKS_NOT):
        read_info(answer)


def test_a_replica(redis_pair: ReplicaPair, open_face: Callable[..., Face]) -> None:
    said = refused(open_face(redis_pair.replica))
    assert "the server is a slave, and only a primary may be asked" in said
    primary = f"127.0.0.1:{redis_pair.primary.port}"
    assert f"; its primary, which the URL has to name, is {primary}; " in said
    assert "redis+sentinel:// finds it by itself" in said


def test_a_sentinel(
    redis_sentinel: SentinelGroup, open_face: Callable[..., Face]
) -> None:
    port = redis_sentinel.sentinels[0].port
    said = refused(open_face(None, url=f"redis://127.0.0.1:{port}"))
    assert "the server is a sentinel, which redis+sentinel:// is for" in said


def test_a_database_that_is_not_there(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    said = refused(open_face(redis_server, url=redis_server.url(99)))
    assert "refused to read: DB index is out of range; the server has fewer" in said
    assert "databases than the URL's number asks for" in said


@pytest.mark.parametrize("command", ["INFO", "GETEX"])
def test_a_command_that_is_switched_off(
    command: str,
    make_redis: Callable[..., RedisServer],
    open_face: Callable[..., Face],
) -> None:
    server = make_redis(options={"rename-command": f'{command} ""'})
    said = refused(open_face(server))
    assert f"refused to read: unknown command '{command}'; the server" in said
    assert "has it switched off or renamed, or is none that will do" in said


def test_more_clients_than_may_be(
    make_redis: Callable[..., RedisServer], open_face: Callable[..., Face]
) -> None:
    server = make_redis()
    with redis.Redis(unix_socket_path=str(server.directory / "socket")) as held:
        held.config_set("maxclients", 1)
        said = refused(open_face(server))
        held.config_set("maxclients", 100)
    assert re.search(r"max number of clients reached; .* `maxclients`", said)


def test_a_node_of_a_cluster_has_one_database() -> None:
    error = redis.ResponseError("SELECT is not allowed in cluster mode")
    assert "redis+cluster:// is for" in way_out(error, tls=False)

"""
One limit for all that an operation waits for, whatever it is that takes long.
"""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache import YokedCache
from yokedcache.errors import StoreError
from yokedcache.stores.redis.timed import _Opening
from yokedcache.stores.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.proxy import Proxy
    from tests.services.redis import RedisServer
    from tests.support.redis_faces import Face

SHORT = 0.2
LONG = 30.0
LEEWAY = 0.8
"""Seconds by which a busy machine may be late."""

Opens = "Callable[..., Face]"


@pytest.fixture
def proxy(make_proxy: Callable[..., Proxy], redis_server: RedisServer) -> Proxy:
    return make_proxy((redis_server.host, redis_server.port))


@contextlib.contextmanager
def in_time(seconds: float = SHORT) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds + LEEWAY


def gives_up(face: Face, match: str = "didn't read in time") -> None:
    with in_time(), pytest.raises(StoreError, match=match):
        face.do(face.commands.read("k", ["a"]), SHORT)


def opened(face: Face) -> Face:
    face.settle()
    face.fill("k", b"v" * 2000, "a")
    assert face.read("k", "a") == b"v" * 2000
    return face


def test_an_answer_comes_in_drips(
    redis_server: RedisServer, proxy: Proxy, open_face: Opens
) -> None:
    face = opened(open_face(redis_server, url=redis_server.url(port=proxy.port)))
    proxy.drip(20, 0.02)
    gives_up(face)
    proxy.restore()
    assert face.read("k", "a") == b"v" * 2000


def test_connecting_goes_in_drips(
    redis_server: RedisServer, proxy: Proxy, open_face: Opens
) -> None:
    face = open_face(redis_server, url=redis_server.url(port=proxy.port))
    proxy.drip(50, 0.02)
    gives_up(face)


@pytest.mark.parametrize("face_kind", ["sync"])
def test_the_urls_timeout_makes_it_no_longer(
    redis_server: RedisServer, proxy: Proxy, open_face: Opens
) -> None:
    proxy.swallow()
    more = f"?socket_timeout={LONG}&socket_connect_timeout={LONG}"
    gives_up(open_face(redis_server, url=redis_server.url(port=proxy.port) + more))


@pytest.mark.parametrize("face_kind", ["sync"])
def test_the_urls_timeout_makes_it_shorter(
    redis_server: RedisServer, proxy: Proxy, open_face: Opens
) -> None:
    url = redis_server.url(port=proxy.port) + f"?socket_timeout={SHORT}"
    face = opened(open_face(redis_server, url=url))
    proxy.hold()
    with in_time(), pytest.raises(StoreError, match="in time"):
        face.do(face.commands.bump(["a"]), LONG)


@pytest.mark.parametrize("face_kind", ["sync"])
def test_a_longer_limit_holds_for_one_operation_alone(
    redis_server: RedisServer, proxy: Proxy, open_face: Opens
) -> None:
    face = opened(open_face(redis_server, url=redis_server.url(port=proxy.port)))
    face.do(face.commands.bump(["b"]), LONG)
    proxy.hold()
    gives_up(face)


@pytest.mark.parametrize("face_kind", ["sync"])
def test_no_timeout_is_set_where_it_stands(
    redis_server: RedisServer, open_face: Opens
) -> None:
    face = opened(open_face(redis_server))
    (connection,) = face.store._lasting
    inner, told = connection._sock._sock, []

    class Telling:
        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        def settimeout(self, seconds: float | None) -> None:
            told.append(seconds)
            inner.settimeout(seconds)

    connection._sock._sock = Telling()
    for _ in range(20):
        face.read("k", "a")
    connection._sock._sock = inner
    assert told == []


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """
    Give the port of a server that lets itself be connected to, and says nothing.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("path", ["redis+sentinel://{}/shop", "redis+cluster://{}"])
def test_none_of_many_says_anything(path: str) -> None:
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(silent()) for _ in range(12)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        cache = YokedCache(path.format(hosts), store_timeout=SHORT)
        with in_time():
            assert cache.sync.get("k") is None
        cache.sync.close()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """
    Give what makes names known; how often one was asked for is counted until then.
    """
    known, find = threading.Event(), socket.getaddrinfo

    class Resolver:
        asked = 0

        def tell(self) -> None:
            known.set()

    made = Resolver()

    def slow(host: Any, *more: Any, **named: Any) -> Any:
        if host != "cache.test":
            return find(host, *more, **named)
        made.asked += 1
        known.wait(LONG)
        return find("127.0.0.1", *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield made
    known.set()


@pytest.mark.parametrize("face_kind", ["sync"])
def test_a_name_takes_long_to_be_found(
    redis_server: RedisServer, open_face: Opens, resolver: Any
) -> None:
    url = redis_server.url().replace("127.0.0.1", "cache.test")
    face = open_face(redis_server, url=url)
    for _ in range(3):
        gives_up(face)
    assert resolver.asked == 1
    resolver.tell()
    opened(face)


def test_memcacheds_name_takes_long_to_be_found(resolver: Any) -> None:
    cache = YokedCache("memcached://cache.test", store_timeout=SHORT)
    with in_time():
        assert cache.sync.get("k") is None
    cache.sync.close()
    assert resolver.asked == 1
    resolver.tell()


def test_a_handshake_for_which_no_time_is_left_leaves_no_socket_open() -> None:
    ours, theirs = socket.socketpair()
    opening: Any = _Opening(fileno=ours.detach())
    context = ssl.create_default_context()
    with within(0.0), pytest.raises(TimeoutError):
        context.wrap_socket(opening, server_hostname="localhost")
    # it would be collected, and close what has its number by then
    left = [one for one in gc.get_objects() if isinstance(one, ssl.SSLSocket)]
    assert all(one.fileno() == -1 for one in left)
    opening.close()
    theirs.close()

"""
The proxy breaks connections as it is told, at once, and mends them again.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.services.processes import free_port
from tests.services.proxy import Proxy, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services import PostgresServer
    from tests.services.redis import RedisServer

PING, PONG = b"PING\r\n", b"+PONG\r\n"


@pytest.fixture
def proxy(
    redis_shared_server: RedisServer, make_proxy: Callable[..., Proxy]
) -> Iterator[Proxy]:
    redis_shared_server.flush()
    return make_proxy(("127.0.0.1", redis_shared_server.port))


@pytest.fixture
def connect(proxy: Proxy) -> Iterator[Callable[[], socket.socket]]:
    made = []

    def connect() -> socket.socket:
        made.append(socket.create_connection(("127.0.0.1", proxy.port), timeout=10))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


@pytest.fixture
def line(connect: Callable[[], socket.socket]) -> socket.socket:
    """
    A connection that has been answered once.
    """
    line = connect()
    assert ask(line) == PONG
    return line


def ask(line: socket.socket, what: bytes = PING) -> bytes:
    line.sendall(what)
    return line.recv(1000)


def is_quiet(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        line.recv(1000)
    except BlockingIOError:
        return True
    finally:
        line.settimeout(10)
    return False


def test_passes_everything_on(redis_shared_server: RedisServer, proxy: Proxy) -> None:
    value = bytes(range(256)) * 4096
    with redis.Redis.from_url(redis_shared_server.url(port=proxy.port)) as client:
        client.set("a", value)
        assert client.get("a") == value
    proxy.wait_until(lambda seen: seen.passed[Way.TO_CLIENT] > len(value))
    proxy.wait_until(lambda seen: seen.open == 0)


def test_stands_before_sockets_and_other_servers(
    redis_shared_server: RedisServer,
    postgres_server: PostgresServer,
    make_proxy: Callable[..., Proxy],
) -> None:
    before = make_proxy(redis_shared_server.socket)
    with redis.Redis(port=before.port) as client:
        assert client.ping()
    before = make_proxy((postgres_server.host, postgres_server.port))
    with replace(postgres_server, port=before.port).connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("way", ["to_server", "to_client"])
def test_delays_one_way(proxy: Proxy, line: socket.socket, way: str) -> None:
    proxy.delay(**{way: 0.2})
    began = time.monotonic()
    assert ask(line) == PONG
    assert time.monotonic() - began >= 0.2


def test_delay_keeps_the_pace(proxy: Proxy, line: socket.socket) -> None:
    proxy.delay(to_client=0.5)
    began = time.monotonic()
    wanted = proxy.seen.arrived[Way.TO_CLIENT]
    for _ in range(5):
        line.sendall(PING)
        wanted += len(PONG)
        proxy.wait_until(lambda seen: seen.arrived[Way.TO_CLIENT] >= wanted)  # noqa: B023
    got = b""
    while len(got) < 5 * len(PONG):
        got += line.recv(1000)
    # one delay for all that was under way, not one each
    assert 0.5 <= time.monotonic() - began < 2.4


def test_holds_answers_until_restored(
    redis_shared_server: RedisServer, proxy: Proxy, line: socket.socket
) -> None:
    proxy.hold(Way.TO_CLIENT)
    start = proxy.seen.arrived[Way.TO_CLIENT]
    line.sendall(b"INCR a\r\n")
    proxy.wait_until(lambda seen: seen.arrived[Way.TO_CLIENT] > start)
    assert redis_shared_server.say("GET", "a") == "1"
    assert is_quiet(line)
    proxy.restore()
    assert line.recv(1000) == b":1\r\n"


def test_holds_requests_until_restored(
    redis_shared_server: RedisServer, proxy: Proxy, line: socket.socket
) -> None:
    proxy.hold(Way.TO_SERVER)
    start = proxy.seen.arrived[Way.TO_SERVER]
    line.sendall(b"INCR a\r\n")
    proxy.wait_until(lambda seen: seen.arrived[Way.TO_SERVER] > start)
    assert redis_shared_server.say("GET", "a") is None
    proxy.restore()
    assert line.recv(1000) == b":1\r\n"


def test_swallows_and_resets_what_has_a_gap(
    redis_shared_server: RedisServer,
    proxy: Proxy,
    line: socket.socket,
    connect: Callable[[], socket.socket],
) -> None:
    other = connect()
    assert ask(other) == PONG
    proxy.swallow(Way.TO_CLIENT)
    line.sendall(b"INCR a\r\n")
    proxy.wait_until(lambda seen: seen.swallowed[Way.TO_CLIENT] > 0)
    assert redis_shared_server.say("GET", "a") == "1"
    assert is_quiet(line)
    proxy.restore()
    with pytest.raises(ConnectionResetError):
        line.recv(1000)
    assert ask(other) == PONG


def test_black_hole_takes_connections_though_the_server_is_gone(
    make_proxy: Callable[..., Proxy],
) -> None:
    proxy = make_proxy(("127.0.0.1", free_port()))
    proxy.swallow()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as line:
        line.sendall(PING)
        proxy.wait_until(lambda seen: seen.swallowed[Way.TO_SERVER] == len(PING))
        assert is_quiet(line)
        proxy.restore()
        with pytest.raises(ConnectionResetError):
            line.recv(1000)


def test_cuts_all_connections(
    redis_shared_server: RedisServer,
    proxy: Proxy,
    connect: Callable[[], socket.socket],
) -> None:
    lines = [connect() for _ in range(3)]
    assert ask(lines[0]) == PONG
    assert proxy.cut() == 3
    for line in lines:
        with pytest.raises(ConnectionResetError):
            line.recv(1000)
    assert ask(connect()) == PONG


def test_cuts_who_has_connected_only_now(proxy: Proxy) -> None:
    async def connect_and_cut() -> tuple[socket.socket, int]:
        # in the loop's own thread, so that the proxy can't have noticed
        line = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        return line, await proxy._cut()

    line, cut = proxy._do(connect_and_cut())
    assert cut == 1
    with line, pytest.raises(ConnectionResetError):
        line.recv(1000)


def test_refuses_new_connections_and_keeps_old_ones(
    proxy: Proxy, line: socket.socket, connect: Callable[[], socket.socket]
) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect()
    assert ask(line) == PONG
    proxy.accept()
    assert ask(connect()) == PONG


@pytest.mark.parametrize("restoring", [Proxy.restore, Proxy.accept])
def test_server_that_is_gone_resets_its_clients(
    redis_server: RedisServer,
    make_proxy: Callable[..., Proxy],
    restoring: Callable[[Proxy], Any],
) -> None:
    proxy = make_proxy(("127.0.0.1", redis_server.port))
    redis_server.kill()
    with (
        pytest.raises(ConnectionResetError),  # by the time that it is made, or after
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as line,
    ):
        line.recv(1000)
    redis_server.restart()
    restoring(proxy)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as line:
        assert ask(line) == PONG


def test_half_close_towards_the_client(proxy: Proxy, line: socket.socket) -> None:
    proxy.half_close()
    assert line.recv(1000) == b""
    asked, answered = (
        proxy.seen.passed[Way.TO_SERVER],
        proxy.seen.arrived[Way.TO_CLIENT],
    )
    line.sendall(PING)
    proxy.wait_until(lambda seen: seen.arrived[Way.TO_CLIENT] > answered)
    line.sendall(PING)
    proxy.wait_until(lambda seen: seen.passed[Way.TO_SERVER] == asked + 2 * len(PING))


def test_half_close_towards_the_server(proxy: Proxy, line: socket.socket) -> None:
    proxy.half_close(Way.TO_SERVER)
    # Redis takes it for a farewell
    assert line.recv(1000) == b""


@pytest.mark.parametrize("length", [0, 3])
def test_cuts_in_the_middle_of_an_answer(
    redis_shared_server: RedisServer,
    proxy: Proxy,
    connect: Callable[[], socket.socket],
    length: int,
) -> None:
    line, other = connect(), connect()
    assert ask(line) == ask(other) == PONG
    proxy.cut_after(length)
    line.sendall(b"INCR a\r\n")
    if length:
        assert line.recv(1000) == b":1\r\n"[:length]
    with pytest.raises(ConnectionResetError):
        line.recv(1000)
    assert redis_shared_server.say("GET", "a") == "1"
    # once: the other connection is left alone
    assert ask(other) == PONG


def test_cuts_in_the_middle_of_a_request(
    redis_shared_server: RedisServer, proxy: Proxy, line: socket.socket
) -> None:
    proxy.cut_after(4, Way.TO_SERVER)
    line.sendall(b"INCR a\r\n")
    with pytest.raises(ConnectionResetError):
        line.recv(1000)
    assert redis_shared_server.say("GET", "a") is None


def test_cut_after_counts_on_over_several_answers(
    proxy: Proxy, line: socket.socket
) -> None:
    proxy.cut_after(2 * len(PONG))
    assert ask(line) == ask(line) == PONG
    line.sendall(PING)
    with pytest.raises(ConnectionResetError):
        line.recv(1000)


def test_faults_hold_for_many_clients_at_once(
    redis_shared_server: RedisServer, proxy: Proxy
) -> None:
    go = threading.Barrier(9, timeout=10)

    def use(number: int) -> int:
        url = redis_shared_server.url(port=proxy.port)
        failures = 0
        with redis_shared_server.client(url) as client:
            go.wait()
            for _ in range(50):
                try:
                    client.incr(f"n{number}")
                except redis.ConnectionError:
                    failures += 1
        return failures

    with ThreadPoolExecutor(8) as pool:
        under_way = [pool.submit(use, number) for number in range(8)]
        go.wait()
        proxy.wait_until(lambda seen: seen.passed[Way.TO_CLIENT] > 100)
        cut = proxy.cut()
        failures = sum(future.result() for future in under_way)
    assert 0 < failures <= cut
    proxy.wait_until(lambda seen: seen.open == 0)


def test_waiting_for_what_never_comes_fails(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.services.proxy.LIMIT", 0.05)
    with pytest.raises(TimeoutError, match="not within"):
        proxy.wait_until(lambda seen: seen.connections > 0)


def test_ends_with_connections_open(redis_shared_server: RedisServer) -> None:
    with Proxy(("127.0.0.1", redis_shared_server.port)) as proxy:
        line = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        assert ask(line) == PONG
    with line, pytest.raises(ConnectionResetError):
        line.recv(1000)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    assert "proxy" not in {thread.name for thread in threading.enumerate()}

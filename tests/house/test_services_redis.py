"""
Private Redis and Valkey servers are what they claim, in each variant, on each kind.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio

from tests.services import MissingServiceError, base
from tests.services.redis import (
    NewRedis,
    OldRedis,
    OldValkey,
    Redis,
    RedisServer,
    Valkey,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisKind


@pytest.mark.parametrize("run", ["first", "second"])
def test_each_test_has_an_empty_server(redis_url: str, run: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("only", "here")
        client.script_load("return 1")
    assert client.script_exists("e0e1f9fabfc9d4800c877a703b823ac0578ff8db") == [True]


def test_scripts_go_with_the_data(redis_shared_server: RedisServer) -> None:
    name = redis_shared_server.say("SCRIPT", "LOAD", "return 2")
    redis_shared_server.flush()
    assert redis_shared_server.say("SCRIPT", "EXISTS", name) == [0]


def test_server_is_of_the_kind_asked_for(
    make_redis: Callable[..., RedisServer], redis_kind: RedisKind
) -> None:
    said = make_redis(redis_kind).info("server")
    assert redis_kind.require().version in said.values()
    assert (said.get("server_name") == "valkey") is (
        redis_kind.program == "valkey-server"
    )


def test_client_reaches_port_and_socket(
    make_redis: Callable[..., RedisServer], redis_kind: RedisKind
) -> None:
    server = make_redis(redis_kind)
    assert server.port != 6379
    for url in (server.url(3), server.url(3, socket=True)):
        with server.client(url) as client:
            assert client.ping()
            assert client.incr("visits")
    assert server.info("keyspace")["db3"].startswith("keys=1")


async def test_async_client_reaches_it(redis_server: RedisServer) -> None:
    async with redis.asyncio.Redis.from_url(redis_server.url()) as client:
        assert await client.ping()


def test_client_reads_answers_with_hiredis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, single_connection_client=True) as client:
        assert "Hiredis" in type(client.connection._parser).__name__


def test_password_is_asked_for(
    make_redis: Callable[..., RedisServer], redis_kind: RedisKind
) -> None:
    server = make_redis(redis_kind, password="p@ss/word")
    with server.client() as client:
        assert client.ping()
    with (
        server.client(f"redis://127.0.0.1:{server.port}") as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_users_may_do_what_their_rules_say(
    make_redis: Callable[..., RedisServer], redis_kind: RedisKind
) -> None:
    server = make_redis(redis_kind, users={"ann": ">hush ~mine:* +get +set"})
    with server.client(server.url(user="ann", password="hush")) as client:
        assert client.set("mine:1", "x")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set("yours:1", "x")
    with (
        server.client(server.url(user="ann", password="loud")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.get("mine:1")


def test_password_may_change_while_it_runs(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        assert client.ping()
        redis_server.configure(requirepass="new")
        client.connection_pool.disconnect()
        with pytest.raises(redis.AuthenticationError):
            client.ping()


def test_tls_shows_a_certificate_that_can_be_checked(
    make_redis: Callable[..., RedisServer],
) -> None:
    server, other = make_redis(tls=True), make_redis(tls=True)
    with server.client() as client:
        assert client.set("secret", "x")
    with (
        server.client(f"redis://127.0.0.1:{server.port}") as client,
        pytest.raises(redis.ConnectionError),
    ):
        client.ping()
    assert other.certificate
    stranger = f"rediss://127.0.0.1:{server.port}"
    with (
        server.client(
            stranger, ssl_ca_certs=str(other.certificate.certificate)
        ) as client,
        pytest.raises(redis.ConnectionError, match="certificate verify failed"),
    ):
        client.ping()


@pytest.mark.parametrize(
    "kind", [OldRedis(), NewRedis(), OldValkey(), Valkey()], ids=lambda k: k.name
)
def test_server_without_tls_says_so(
    make_redis: Callable[..., RedisServer], kind: RedisKind
) -> None:
    with pytest.raises(ValueError, match="without TLS"):
        make_redis(kind, tls=True)


@pytest.mark.parametrize(
    ("persistence", "killed", "stopped"),
    [("none", None, None), ("snapshot", None, "1"), ("log", "1", "1")],
)
def test_what_was_kept_is_there_after_a_restart(
    make_redis: Callable[..., RedisServer],
    redis_kind: RedisKind,
    persistence: str,
    killed: str | None,
    stopped: str | None,
) -> None:
    server = make_redis(redis_kind, persistence=persistence)
    ends: list[tuple[Callable[[], None], str | None]] = [
        (server.kill, killed),
        (server.stop, stopped),
    ]
    for end, kept in ends:
        server.say("SET", "a", "1")
        run, port = server.info("server")["run_id"], server.port
        end()
        assert not server.answers()
        server.restart()
        assert server.say("GET", "a") == kept
        assert server.info("server")["run_id"] != run
        assert server.info("server")["tcp_port"] == str(port)


@pytest.mark.parametrize("persistence", ["snapshot", "log"])
def test_data_can_be_lost_in_a_restart(
    make_redis: Callable[..., RedisServer], persistence: str
) -> None:
    server = make_redis(persistence=persistence)
    server.say("SET", "a", "1")
    server.stop()
    server.restart(with_data=False)
    assert server.say("GET", "a") is None


def test_full_server_does_what_its_policy_says(
    make_redis: Callable[..., RedisServer], redis_kind: RedisKind
) -> None:
    server = make_redis(redis_kind, maxmemory="3mb")
    with server.client() as client:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            _fill(client)
        server.configure(maxmemory_policy="allkeys-lru")
        _fill(client)
    assert int(server.info("stats")["evicted_keys"]) > 0


def _fill(client: redis.Redis) -> None:
    for number in range(400):
        client.set(f"filler:{number}", b"x" * 16_384)


def test_suspended_server_hangs_and_goes_on(
    make_redis: Callable[..., RedisServer], redis_kind: RedisKind
) -> None:
    server = make_redis(redis_kind)
    with server.client(socket_timeout=0.1) as client:
        client.set("a", "1")
        with server.suspended(), pytest.raises(redis.TimeoutError):
            client.get("a")
        assert client.get("a") == b"1"


def test_suspended_server_can_be_stopped(redis_server: RedisServer) -> None:
    redis_server.suspend()
    began = time.monotonic()
    redis_server.stop()
    assert not redis_server.process.alive
    assert time.monotonic() - began < 5


def test_server_outlives_the_thread_that_starts_it(redis_server: RedisServer) -> None:
    thread = threading.Thread(target=redis_server.restart)
    thread.start()
    thread.join()
    run = redis_server.info("server")["run_id"]
    # the signal of a parent's death would have come before the next answer
    assert redis_server.info("server")["run_id"] == run
    assert redis_server.process.alive


def test_nothing_is_left_behind() -> None:
    with (
        contextlib.suppress(ZeroDivisionError),
        RedisServer.running() as server,
    ):
        directory = server.directory
        _ = 1 // 0
    assert not server.process.alive
    assert not directory.exists()


@pytest.mark.parametrize(
    "kind",
    [Redis(), OldRedis(), NewRedis(), OldValkey(), Valkey()],
    ids=lambda k: k.name,
)
def test_missing_server_is_a_failure_that_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: RedisKind
) -> None:
    monkeypatch.setenv(kind.directory_variable, str(tmp_path))
    with pytest.raises(MissingServiceError, match="make services") as caught:
        kind.require()
    assert kind.directory_variable in str(caught.value)
    assert "None" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "installed"),
    [
        (Redis(), "redis-server"),
        (OldRedis(), None),
        (NewRedis(), None),
        (OldValkey(), "valkey-server"),
        (Valkey(), None),
    ],
    ids=lambda kind: getattr(kind, "name", ""),
)
def test_what_is_missing_is_installed_where_debian_has_it(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: RedisKind,
    installed: str | None,
) -> None:
    ran: list[str] = []
    monkeypatch.setenv(kind.directory_variable, str(tmp_path))
    monkeypatch.setattr(base.os, "geteuid", lambda: 0)
    monkeypatch.setattr(base.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(
        base.subprocess, "run", lambda command, **_: ran.extend(command)
    )
    with pytest.raises(MissingServiceError):
        kind.ensure()
    assert (installed in ran) if installed else not ran


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        (Redis(), "6.2.14"),
        (OldRedis(), "6.0.16"),
        (OldRedis(), "7.0.15"),
        (NewRedis(), "7.0.15"),
        (OldValkey(), "7.2.4"),
        (OldValkey(), "9.0.0"),
        (Valkey(), "8.1.8"),
    ],
)
def test_older_or_newer_a_server_than_its_kind_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: RedisKind, version: str
) -> None:
    other = tmp_path / kind.program
    other.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0:0'\n")
    other.chmod(0o755)
    monkeypatch.setenv(kind.directory_variable, str(tmp_path))
    assert kind.locate() is None


def test_program_that_servers_may_not_reach_is_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.services.redis.kinds.reachable", lambda _: False)
    with RedisServer.running(Valkey()) as server:
        copy = Path(str(server.process.command[0]))
        assert copy.parent != Valkey().require().directory
        assert server.answers()
    assert not copy.exists()

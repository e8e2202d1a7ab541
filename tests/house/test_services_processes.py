"""
Processes of servers are private, and gone when the test run is, however it ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services import PostgresServer, processes
from tests.services.processes import (
    BLOCK,
    PORTS,
    Process,
    free_port,
    private_directory,
    reachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.redis import RedisServer

PROJECT = Path(__file__).resolve().parents[2]

HOLDS_POSTGRES = """
import time
from tests.services import Postgres
with Postgres().running() as server:
    print(server.port, flush=True)
    time.sleep(60)
"""

HOLDS_A_SUSPENDED_REDIS = """
import time
from tests.services.redis import RedisServer
with RedisServer.running() as server:
    server.suspend()
    print(server.process.popen.pid, flush=True)
    time.sleep(60)
"""

HOLDS_A_DIRECTORY = """
import time
from tests.services.processes import private_directory
with private_directory("held") as directory:
    print(directory, flush=True)
    time.sleep(60)
"""

TAKES_A_PORT = """
import time
from tests.services.processes import free_port
print(free_port(), flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def held(program: str, place: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """
    Give what a program prints while it holds something, and the program to kill.
    """
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        # what the killed process can't remove any more goes with ours
        env=os.environ | {"TMPDIR": str(place)},
    ) as holder:
        assert holder.stdout
        try:
            yield holder.stdout.readline().strip(), holder
        finally:
            holder.kill()


def test_failed_start_shows_what_the_server_said() -> None:
    with private_directory("failing") as directory:
        process = Process.start(["/bin/sh", "-c", "echo why"], directory=directory)
        with pytest.raises(RuntimeError, match="why"):
            process.wait_until(lambda: False)


def test_private_directory_is_the_servers_own_and_goes() -> None:
    with private_directory("mine") as directory:
        assert directory.exists()
        assert (directory.stat().st_uid != 0) or os.geteuid() != 0
    assert not directory.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees others' closed doors")
def test_closed_directory_is_not_reachable(tmp_path: Path) -> None:
    # pytest keeps tmp_path for its owner alone
    assert not reachable(tmp_path)
    assert reachable(Path("/usr/bin"))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_server_ends_with_a_killed_test_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YC_POSTGRES_URL", raising=False)
    with private_directory("killed") as directory:
        with held(HOLDS_POSTGRES, directory) as (port, holder):
            server = PostgresServer("127.0.0.1", int(port), "postgres")
            assert server.answers()
            holder.send_signal(signal.SIGKILL)
        limit = time.monotonic() + 10
        while server.answers():
            assert time.monotonic() < limit, "the server outlived its test run"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_suspended_server_ends_with_a_killed_test_run() -> None:
    with private_directory("killed") as directory:
        with held(HOLDS_A_SUSPENDED_REDIS, directory) as (pid, holder):
            assert Path("/proc", pid).exists()
            holder.send_signal(signal.SIGKILL)
        limit = time.monotonic() + 10
        while Path("/proc", pid).exists() and not is_zombie(pid):
            assert time.monotonic() < limit, "the server outlived its test run"


def is_zombie(pid: str) -> bool:
    try:
        return ") Z " in Path("/proc", pid, "stat").read_text()
    except OSError:
        return True


def test_directories_of_killed_test_runs_are_removed_by_the_next_one() -> None:
    with private_directory("killed") as place:
        with held(HOLDS_A_DIRECTORY, place) as (left, holder):
            processes._sweep.__wrapped__(place)
            assert Path(left).exists(), "somebody uses it"
            holder.send_signal(signal.SIGKILL)
        assert Path(left).exists()
        processes._sweep.__wrapped__(place)
        assert not Path(left).exists()


def test_ports_are_none_that_clients_are_given() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) == 20
    assert ports <= set(PORTS)
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if given.exists():
        assert max(PORTS) < int(given.read_text().split()[0])


def test_no_two_processes_are_given_a_port_while_both_live() -> None:
    mine = {free_port() for _ in range(2 * BLOCK)}
    assert max(mine) - min(mine) < BLOCK
    with private_directory("port") as place, held(TAKES_A_PORT, place) as (port, _):
        assert int(port) in PORTS
        assert abs(int(port) - min(mine)) >= BLOCK - 1


def test_a_port_that_is_listened_on_is_passed_over() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        taken = listener.getsockname()[1]
        assert taken not in {free_port() for _ in range(2 * BLOCK)}


def test_log_tells_of_every_start(redis_server: RedisServer) -> None:
    redis_server.restart()
    assert redis_server.process.log.read_text().count("just started") == 2

"""
The private Memcached is what it claims: new for whoever starts it, and findable anywhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services import Memcached, MemcachedServer, MissingServiceError, base
from tests.services.processes import wait_until


def test_servers_are_new_and_do_not_see_each_other() -> None:
    with MemcachedServer.several(2) as (one, other):
        assert one.say("set", "prefix:a", b"1")
        assert one.all_keys() == [b"prefix:a"]
        assert other.all_keys() == []
        assert 11211 not in {one.port, other.port}
        one.restart()
        assert one.all_keys() == []


def test_a_server_hangs_and_goes_on_and_dies() -> None:
    with MemcachedServer.running() as server:
        client = server.client()
        client.timeout = 0.05
        with server.suspended(), pytest.raises(TimeoutError):
            client.version()
        wait_until(server.answers)
        server.kill()
        assert not server.answers()
        server.restart()
        assert server.answers()


def test_options_are_the_servers() -> None:
    with MemcachedServer.running("-I", "2m") as server:
        assert server.say("stats", "settings")[b"item_size_max"] == 2 << 20


def test_a_missing_server_is_a_failure_that_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YC_MEMCACHED_HOME", str(tmp_path))
    with pytest.raises(MissingServiceError, match="make services"):
        Memcached().require()


@pytest.mark.parametrize(
    ("user", "script"), [(0, "debian-install"), (1000, "debian-unpack")]
)
def test_what_is_missing_is_installed_by_root_and_unpacked_by_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, script: str
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setenv("YC_MEMCACHED_HOME", str(tmp_path))
    monkeypatch.setattr(base.os, "geteuid", lambda: user)
    monkeypatch.setattr(base.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(
        base.subprocess, "run", lambda command, **_: ran.append(command)
    )
    with pytest.raises(MissingServiceError):
        Memcached().ensure()
    assert [Path(command[0]).name for command in ran] == [script]
    assert "memcached" in ran[0]

"""
How a shared store is named and set up, and what is said where that can't be.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from yokedcache import YokedCache
from yokedcache.errors import SettingsError, StoreError
from yokedcache.settings import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.redis import RedisServer


def test_a_url_has_our_settings_and_the_clients() -> None:
    settings = read(
        "redis://user:secret@host:7000/3?ttl=5m&prefix=shop&ssl_ca_certs=ca.pem"
        "&on_unreachable=refuse&lease=2s",
        {"store_timeout": "20ms"},
    )
    assert settings.url == "redis://user:secret@host:7000/3?ssl_ca_certs=ca.pem"
    assert (settings.ttl, settings.prefix, settings.lease) == (300.0, "shop", 2.0)
    assert (settings.on_unreachable, settings.store_timeout) == ("refuse", 0.02)


def test_valkey_is_spoken_to_as_redis() -> None:
    assert read("valkey://host/1", {}).url == "redis://host/1"
    assert read("valkeys+cluster://host/", {}).url == "rediss+cluster://host/"


@pytest.mark.parametrize("url", ["unix:///run/r.sock", "redis:///2", "redis://"])
def test_a_url_without_a_host_stays_as_it_is(url: str) -> None:
    assert read(url, {}).url == url
    assert read(f"{url}?lease=2s&db=1", {}).url == f"{url}?db=1"


def test_a_socket_leads_to_a_server(redis_server: RedisServer) -> None:
    cache = YokedCache(redis_server.url(socket=True), store_timeout=10.0)
    wait_until(lambda: cache.sync.set("a", 1))
    assert cache.sync.get("a") == 1
    cache.sync.close()


def test_a_path_means_the_same_wherever_the_process_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    near = read("sqlite:///a folder/c.db?max_file_bytes=5000000&prefix=shop", {})
    assert near.url == f"sqlite:///{tmp_path}/a folder/c.db"
    assert (near.max_file_bytes, near.prefix) == (5_000_000, "shop")
    assert read("sqlite:////var/cache/c.db", {}).url == "sqlite:////var/cache/c.db"


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://c.db", "sqlite:///a/"],
)
def test_a_path_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="names no file"):
        YokedCache(url)


def test_a_file_has_no_settings_but_ours() -> None:
    with pytest.raises(SettingsError, match="unknown setting 'mode'"):
        YokedCache("sqlite:///c.db?mode=ro")
    with pytest.raises(ValueError, match="can't begin keys"):
        YokedCache("sqlite:///c.db?prefix=a*")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"on_unreachable": "ignore"}, "'commit' or 'refuse'"),
        ({"prefix": ""}, "a non-empty string"),
        ({"prefix": 3}, "a non-empty string"),
        ({"lease": "-1s"}, "lease"),
        ({"store_timeout": 0}, "store_timeout"),
    ],
)
def test_what_cannot_be_meant_is_said(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read("redis://localhost", settings)


def test_a_prefix_that_cannot_begin_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="can't begin keys"):
        YokedCache("redis://localhost", prefix="a*")


@pytest.mark.parametrize("url", ["http://host", "redis+tls://host", "localhost"])
def test_an_unknown_scheme_lists_the_known_ones(url: str) -> None:
    with pytest.raises(SettingsError, match="redis://, rediss://"):
        YokedCache(url)


def test_applications_of_two_prefixes_share_a_server(
    server: RedisServer, open_cache: Callable[..., YokedCache]
) -> None:
    one, other = open_cache(server, prefix="one"), open_cache(server, prefix="other")
    assert one.sync.set("a", 1)
    assert other.sync.get("a") is None
    assert all(
        key.startswith(("one:", "other:", "yc:")) for key in server.say("KEYS", "*")
    )


def test_the_client_library_is_asked_for_when_it_is_missing() -> None:
    program = """
import sys
sys.modules["redis"] = None
from yokedcache import YokedCache
try:
    YokedCache("redis://localhost")
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'yokedcache[redis]'" in done.stdout


def test_an_event_loop_that_ends_leaves_no_connection_open(
    redis_server: RedisServer,
) -> None:
    program = """
import asyncio, gc, sys, warnings
from yokedcache import YokedCache
warnings.simplefilter("error")
cache = YokedCache(sys.argv[1], store_timeout=10)
async def ask():
    await asyncio.gather(*(cache.get(str(n)) for n in range(9)), cache.set("a", 1))
for _ in range(3):
    asyncio.run(ask())
    gc.collect()
assert cache.stats().store_failures == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", program, redis_server.url()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_memory_needs_no_client_library() -> None:
    program = """
import sys
from yokedcache import YokedCache
YokedCache().sync.set("a", 1)
assert not {"redis", "asyncio", "msgpack"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("variant", "said"),
    [({"password": "right"}, "password"), ({}, "")],
    ids=["password", "none"],
)
def test_a_server_that_refuses_is_a_miss_and_says_why(
    make_redis: Callable[..., RedisServer],
    variant: dict[str, str],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = make_redis(**variant)
    wrong = server.url(password="wrong") if variant else server.url()
    cache = YokedCache(wrong, store_timeout=5.0)
    cache.sync.get("a")
    assert said in caplog.text
    assert bool(cache.stats().store_failures) is bool(variant)
    assert "wrong" not in caplog.text
    cache.sync.close()


def test_a_server_that_is_not_there_is_a_miss(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.kill()
    cache = YokedCache(redis_server.url())
    assert cache.sync.get("a", "nothing") == "nothing"
    assert not cache.sync.set("a", 1)
    assert f"{redis_server.host}:{redis_server.port} can't be reached" in caplog.text
    store: Any = cache.machine.store
    with pytest.raises(StoreError):
        store.server.perform(store.server.commands.note())
    cache.sync.close()

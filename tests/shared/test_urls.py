"""
What a URL of Redis' kind may say, and what it is told at once that it can't.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.services.processes import run, wait_until
from tests.services.redis.kinds import Redis
from yokedcache import YokedCache
from yokedcache.errors import SettingsError
from yokedcache.settings import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h:nope", "'h:nope' in the URL is no host with a port"),
        ("redis://u:secret@h:99999/0", "'h:99999' in the URL is no host with a port"),
        ("redis://h:0", "'h:0' in the URL is no host with a port"),
        ("rediss://h/shop", "database is 'shop', and has to be a number: rediss://"),
        ("redis:h", "database is 'h'"),
        ("valkey://h?db=x", "db='x' of the store's URL has to be a whole number"),
        ("redis://u:secret@h?foo=1", "unknown option 'foo' of the store's URL"),
        (
            "redis://h?socket_keepalive=1&ssl_ca_certs=/c",
            "unknown option 'ssl_ca_certs'",
        ),
        ("rediss://h?ssl_cert_reqs=bogus", "Requirements Flag: bogus"),
        (
            "redis://h?decode_responses=true",
            "'decode_responses' of the store's URL isn't",
        ),
        ("redis://h?protocol=3", "'protocol' of the store's URL isn't to be chosen"),
        ("redis://h?retry=3", "'retry' of the store's URL isn't to be chosen"),
        ("rediss://h?ssl_validate_ocsp=true", "unknown option 'ssl_validate_ocsp'"),
        ("redis://h?socket_keepalive_options=x", "isn't to be chosen: leave it out"),
        ("redis://h?socket_type=3", "isn't to be chosen: leave it out"),
        ("redis://h?event_dispatcher=1", "isn't to be chosen: leave it out"),
        ("redis://h?retry_on_error=x", "isn't to be chosen: leave it out"),
        ("redis://h?socket_timeout=-1", "socket_timeout='-1' of the store's URL has"),
        ("redis://h?socket_timeout=nan", "has to be a number of seconds above 0"),
        ("redis://h?socket_timeout=1e300", "has to be a number of seconds above 0"),
        ("redis://h?socket_timeout=0&socket_timeout=1", "socket_timeout='0' of"),
        (
            "redis://h?socket_connect_timeout=-1",
            "has to be a number of seconds above 0",
        ),
        ("redis+cluster://h?socket_timeout=x", "has to be a number of seconds above 0"),
        ("redis://h?db=-1", "db='-1' of the store's URL has to be a whole number"),
        ("redis://h?socket_read_size=0", "has to be a whole number from 1"),
        ("redis://h?health_check_interval=-4", "has to be a whole number from 0"),
        (
            "rediss://h?ssl_min_version=9",
            "ssl_min_version='9' of the store's URL can't",
        ),
        (
            "rediss://h?ssl_ciphers=bogus",
            "ssl_ciphers='bogus' of the store's URL can't",
        ),
        ("rediss://h?ssl_min_version=99999999999999999999", "int too large"),
        ("rediss://h?ssl_ca_data=é", "should be an ASCII string"),
        ("rediss://h?ssl_ca_certs=/no/ca", "ssl_ca_certs='/no/ca' of the store's URL"),
        ("rediss+cluster://h?ssl_certfile=/no/c", "can't be read: No such file"),
        (
            "rediss+sentinel://h/s?ssl_ca_path=/no/d",
            "'/no/d' of the store's URL names no",
        ),
        (
            "redis+sentinel://h/s?sentinel_ssl=true&sentinel_ssl_keyfile=/no/k",
            "ssl_keyfile='/no/k' of the store's URL can't be read: No such file",
        ),
        ("redis://[::1:6379/0", "'redis://[::1:6379/0' can't be read: Invalid IPv6"),
        ("redis://h/0?url=null://", "setting 'url' stands in no URL, which is that"),
        ("redis://h/0?url=foo", "setting 'url' stands in no URL, which is that"),
        ("memory://?url=redis://h", "setting 'url' stands in no URL, which is that"),
        ("unix://", "names no socket by its path: unix:///"),
        ("unix://run/redis.sock", "names no socket by its path: unix:///"),
        ("unix:///run/redis.sock?bar=1", "unknown option 'bar'"),
        ("redis+sentinel://u:secret@h/main?foo=1", "unknown option 'foo'"),
        ("redis+cluster://h,i?foo=1", "unknown option 'foo'"),
    ],
)
def test_urls_that_cannot_be_meant_are_refused_before_anything_waits(
    url: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        YokedCache(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "valkey://h",
        "redis://localhost:/0",
        "redis://[::1]:7000/1?protocol=2",
        "unix://localhost/run/redis.sock",
        "unix://?path=/run/redis.sock",
        "redis://h:1?db=3&client_name=shop@one&health_check_interval=30",
        "rediss://u:p%40ss@h/2?ssl_cert_reqs=none&ssl_min_version=771",
        "unix:///run/redis.sock?db=1",
        "unix://u:p@/run/redis.sock",
        "redis+sentinel://h/main?sentinel_password=p",
        "redis+cluster://h,i:7000",
    ],
)
def test_urls_that_can(url: str) -> None:
    YokedCache(url).sync.close()


def test_a_socket_of_this_machine(redis_server: RedisServer) -> None:
    url = f"{redis_server.url(2, socket=True)}&prefix=shop"
    one, other = (YokedCache(url, lease=0.2, store_timeout=5.0) for _ in range(2))
    wait_until(lambda: one.sync.set("a", 1))

    async def answer_and_tell() -> None:
        assert await other.get("a") == 1
        assert await other.set("b", 2)
        await other.close()

    asyncio.run(answer_and_tell())
    assert one.sync.get("b") == 2
    one.sync.close()
    assert redis_server.say("INFO", "keyspace").count("db2:") == 1


def test_near_is_told_once_how_many_entries_there_may_be() -> None:
    with pytest.raises(SettingsError, match="max_entries=7"):
        YokedCache("redis://h", near={"entries": 5}, max_entries=7)
    YokedCache("redis://h", near={"entries": 5}, max_entries=5).sync.close()


def test_an_empty_url_is_a_variable_that_is_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsError, match="in memory say 'memory://', or leave"):
        YokedCache("")
    monkeypatch.setenv("YOKEDCACHE_URL", "redis://h")
    with pytest.raises(SettingsError, match="the cache's URL is empty"):
        YokedCache("")
    assert read(None, {}).url == "redis://h"
    monkeypatch.setenv("YOKEDCACHE_URL", "")
    assert read(None, {}).url is None


def test_a_certificate_has_its_key(make_redis: Callable[..., RedisServer]) -> None:
    made = make_redis(tls=True).certificate
    assert made is not None
    locked = made.key.with_name("locked.pem")
    command = [*(Redis().openssl() or []), "ec", "-aes256", "-passout", "pass:s3cret"]
    run([*command, "-in", made.key, "-out", locked], directory=locked.parent)

    def open_with(key: object, **more: str) -> None:
        told = {"ssl_certfile": made.certificate, "ssl_keyfile": key, **more}
        YokedCache(f"rediss://u:p@h?{urlencode(told)}").sync.close()

    open_with(made.key)
    open_with(locked, ssl_password="s3cret")
    for key in (made.certificate, locked):
        with pytest.raises(SettingsError, match="certificate and its key") as caught:
            open_with(key, ssl_password="zqx")
        assert "zqx" not in repr(caught.value)
        assert caught.value.__context__ is None
    with pytest.raises(SettingsError, match="certificate and its key"):
        YokedCache(f"rediss://h?ssl_keyfile={made.key}")

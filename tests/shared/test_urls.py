"""
What a URL of Redis' kind may say, and what it is told at once that it can't.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until
from yokedcache import YokedCache
from yokedcache.errors import SettingsError

if TYPE_CHECKING:
    from tests.services.redis import RedisServer


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h:nope", "'h:nope' in the URL is no host with a port"),
        ("redis://u:secret@h:99999/0", "'h:99999' in the URL is no host with a port"),
        ("redis://h:0", "'h:0' in the URL is no host with a port"),
        ("rediss://h/shop", "database is 'shop', and has to be a number: rediss://"),
        ("redis:h", "database is 'h'"),
        ("valkey://h?db=x", "Invalid value for 'db'"),
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
        ("redis://u:secret/w@h", "/ ? # in the URL's user or password are written"),
        ("redis://u:1secret#w@h/1", "/ ? # in the URL's user or password are written"),
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
        "rediss://u:p%40ss@h/2?ssl_ca_certs=/ca.pem",
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

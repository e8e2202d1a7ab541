"""
What is secret in a URL is in no message about it, however the URL is written.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yokedcache import YokedCache
from yokedcache.errors import UsageError, YokedCacheError
from yokedcache.settings import read
from yokedcache.stores.urls import read_url

SECRET: Final = "zqx"
KINDS: Final = (
    *("redis", "rediss", "redis+cluster", "redis+sentinel", "unix"),
    *("postgresql", "memcached", "memory", "null", "sqlite", "nope"),
)
PIECES: Final = (*"/?#@[]%:=&,1", "a", "℀", "%zz", "prefix=", "db=", "ttl=", "foo=")


def refusal(url: str) -> YokedCacheError:
    with pytest.raises(UsageError) as caught:
        YokedCache(url)
    hidden(caught.value)
    return caught.value


def hidden(error: BaseException | None) -> None:
    """
    See that an error shows nothing, nor does any that is behind it.
    """
    while error is not None:
        assert SECRET not in f"{error!r} {error} {getattr(error, 'facts', '')}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "url",
    [
        "redis://:zqx/ss@h",
        "redis://:zqx#ss@h/0",
        "redis://:zqx?ss@host/0",
        "redis://u:12/a=zqx@h1/5",
        "redis+cluster://u:zqx/ss@h1:1,h2",
        "redis+cluster://u:zqx#ss@h1:1,h2",
        "redis+cluster://u:zqx?ss@h1:1,h2",
        "redis+sentinel://u:zqx/ss@h1/svc",
        "redis+sentinel://u:zqx#ss@h1/svc",
        "redis+sentinel://u:zqx?ss@h1/svc",
        "redis+sentinel://u:12/zqx@h1/5",
        "memcached://u:zqx?a@h",
        "memory://u:zqx/a@h",
        "postgresql://u:zqx/ss@127.0.0.1:1/db",
        "postgresql://u:12/zqx@127.0.0.1:1/db",
        "postgresql://u:zqx@ss@h/db",
    ],
)
def test_where_a_password_ends_has_to_be_told(url: str) -> None:
    said = str(refusal(url))
    assert "where the URL's password ends can't be told" in said
    assert "/ ? # @ % [ ] are written %2F %3F %23 %40 %25 %5B %5D" in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://:pa[zqx@h/0", "user or password can't be read: in a URL's user"),
        ("redis://u:zqx\u2100x@h/0", "user or password can't be read"),
        ("postgresql://u:p%zzzqx@h/db", "user or password can't be read"),
        ("postgresql://h/db?password=p%zzzqx", "user or password can't be read"),
        ("postgresql://u:zqx@h/db?p%61ssword=p%zzzqx&foo=1", 'parameter: "foo"'),
        ("postgresql://u:zqx@h:nope/db", "'nope' in the URL is no port from 1 to"),
        ("redis://u:zqx@h?foo=zqx@h", "the URL can't be meant, and isn't shown"),
        ("redis://:zqx?a=b@host/0", "the URL can't be meant, and isn't shown"),
        ("redis://u:zqx?prefix=b@host/0", "the URL can't be meant, and isn't shown"),
        ("unix://u:1?prefix=zqx@h/0", "the URL can't be meant, and isn't shown"),
        ("unix://u:?ttl=zqx&@h:1/5", "the URL can't be meant, and isn't shown"),
        ("redis://u:?lease=zqx&a=b@h/0", "the URL can't be meant, and isn't shown"),
        ("redis://u:p@h/0?ttl=long", "ttl='long' can't be read"),
        ("redis://u:zqx@[::1:6379/0", "'redis://***@[::1:6379/0' can't be read"),
        ("null://:zqx@redis:6379/0", "names no host or path, got '***@redis:6379/0'"),
        ("memory://:zqx@redis/0", "names no host or path, got '***@redis/0'"),
        ("sqlite://u:zqx@h/c.db", "'sqlite://***@h/c.db' names no file"),
        ("sqlite:///?password=zqx", "unknown setting 'password'"),
        ("sqlite://?u:zqx@h", "the URL can't be meant, and isn't shown"),
        ("sqlite:///c.db?zqx@h", "the URL can't be meant, and isn't shown"),
        ("memcached://u:zqx@h", "Memcached is told no user here"),
        ("zqx:zqx@h", "the URL can't be meant, and isn't shown"),
        ("nope://u:zqx@h", "no store for the URL scheme 'nope'"),
    ],
)
def test_the_rest_is_said_without_it(url: str, said: str) -> None:
    assert said in str(refusal(url))


@example("unix", ["?", "ttl="], ["&"])
@given(st.sampled_from(KINDS), *[st.lists(st.sampled_from(PIECES), max_size=4)] * 2)
def test_no_password_is_shown_whatever_is_in_it(
    kind: str, before: list[str], after: list[str]
) -> None:
    url = f"{kind}://u:{''.join(before)}{SECRET}{''.join(after)}@h:1/5?foo=1"
    try:
        YokedCache(url).sync.close()
    except YokedCacheError as error:
        hidden(error)


@pytest.mark.parametrize("password", ["/?#@[]%", "p%zz", "℀", "a=b&c:d,e"])
@pytest.mark.parametrize("kind", ["redis", "redis+cluster", "postgresql"])
def test_what_is_written_with_percent_signs_is_taken(kind: str, password: str) -> None:
    YokedCache(f"{kind}://u:{quote(password, safe='')}@h:1").sync.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:p@ss@h",
        "redis://h?client_name=shop@one",
        "redis://h?password=p@ss",
        "postgresql://u:a#b?c@h/db?options=a@b",
        "postgresql:///db?host=@socket",
        "unix:///run/a@b.sock",
        "sqlite:////tmp/me@work/c.db",
    ],
)
def test_an_at_sign_may_stand_where_it_is_no_passwords_end(url: str) -> None:
    assert read(url, {}).url == url


def test_settings_are_taken_from_behind_a_login() -> None:
    settings = read("postgresql://u:a?ttl=5@h/db?ttl=7&prefix=b%40c", {})
    assert settings.url == "postgresql://u:a?ttl=5@h/db"
    assert (settings.ttl, settings.prefix) == (7.0, "b@c")


def test_a_reader_is_first_given_what_may_be_shown() -> None:
    seen: list[str] = []
    url = "redis://u:zqx@h/0?api_key=zqx&password=zqx#zqx&db=1&keyfile=k"
    read_url(url, seen.append)
    assert seen == ["redis://***@h/0?api_key=***&password=***", url]


def test_settings_show_no_url() -> None:
    settings = read("redis://user:zqx@h/0?ttl=3", {})
    assert settings.url == "redis://user:zqx@h/0"
    assert "zqx" not in repr(settings)
    assert "ttl=3" in repr(settings)

"""
What a server forgets, and what somebody else puts where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.memcached import key_of
from yokedcache.stores.answers import BORN, Times
from yokedcache.stores.memcached.layout import (
    MOST_SECONDS,
    Fence,
    read_tag,
    write_tag,
)
from yokedcache.stores.versions import not_after
from yokedcache.testing.stores.processes import TIMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import MemcachedServer
    from yokedcache.testing.stores import Process

pytestmark = pytest.mark.timeout(120)


TINY = ("-m", "2", "-o", "no_lru_maintainer")
"""
One list, of which the end is evicted: else what was read lately is spared for long.
"""


def entry_key(process: Process, key: str) -> bytes:
    made: Any = process.commands
    return bytes(made.names.entry(key).key)


def tokens(process: Process, tag: str) -> list[bytes]:
    (state,) = process.stamp(tag).states
    return [fence.token for fence in state.fences]


def evict(server: MemcachedServer, key: bytes) -> None:
    """
    Fill a server with other things of the same size until it has forgotten a key.
    """
    size = len(server.say("get", key))
    for batch in range(100):
        junk = {f"junkk:{batch:03}:{n:06}": "x" * size for n in range(2000)}
        server.say("set_many", junk, noreply=True)
        if server.say("get", key) is None:
            return
    raise AssertionError(key)


# evicted


def test_a_fenced_tag_that_is_evicted_comes_back_born_fenced(
    start_servers: Callable[..., list[MemcachedServer]], start: Callable[..., Process]
) -> None:
    servers = start_servers(1, *TINY)
    writer, reader, late = start(servers), start(servers), start(servers)
    reader.fill("k", b"old", "t")
    fence = writer.fence("t", owner="pid 7")
    evict(servers[0], key_of(writer.client, "t"))
    # nobody has told these processes: they find out when they make the tag
    assert reader.read("k", "t") in {"absent", "tag_lost"}
    stamp = reader.stamp("t")
    assert [one.token for one in stamp.states[0].fences] == [BORN]
    assert reader.put("k", b"old", stamp) == "commit_in_flight"
    assert tokens(late, "other") == [BORN]
    # the writer lives, and puts it back; then time ends what was born
    assert writer.do(writer.commands.renew(fence)) == 1
    assert set(tokens(reader, "t")) == {BORN, fence.token}
    assert writer.lift(fence) == 0
    assert tokens(reader, "t") == [BORN]
    key = key_of(writer.client, "t")
    kept = read_tag(servers[0].say("get", key))
    over = [kept.fences[0]._replace(deadline=1)]
    servers[0].say("set", key, write_tag(kept.version, kept.until, over))
    assert reader.fill("k", b"new", "t") is None
    assert late.read("k", "t") == b"new"


def test_a_new_process_relies_on_tags_that_it_finds_and_not_on_those_it_makes(
    start_servers: Callable[..., list[MemcachedServer]], start: Callable[..., Process]
) -> None:
    servers = start_servers(1)
    one = start(servers)
    one.fill("k", b"x", "t")
    servers[0].say("flush_all", 1000)  # somebody says so, and nothing is lost yet
    new = start(servers, sure=False)
    assert new.read("k", "t") == b"x"
    assert new.stamp("t").unusable is None
    assert tokens(new, "made") == [BORN]


def test_a_lost_tag_is_never_what_it_was(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    one, other = start([server]), start([server])
    one.fill("k", b"x", "t")
    stamp = one.stamp("t")
    given = set(stamp.vector.versions)
    for _ in range(3):
        server.say("delete", key_of(one.client, "t"))
        assert other.read("k", "t") == "tag_lost"
        assert one.put("k", b"x", stamp) == "changed_meanwhile"
        (version,) = other.stamp("t").vector.versions
        assert version not in given
        given.add(version)
        assert other.read("k", "t") == "changed"


def test_a_fence_is_heeded_whatever_the_version(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    # each fence comes with a version of its own; this one is put there without
    one = start([server])
    one.fill("k", b"x", "t")
    stamp, key = one.stamp("t"), key_of(one.client, "t")
    kept = read_tag(server.say("get", key))
    fence = Fence(b"token", kept.until, b"")
    server.say("set", key, write_tag(kept.version, kept.until, [fence]))
    assert one.read("k", "t") == "commit_in_flight"
    assert one.put("k", b"y", stamp) == "commit_in_flight"


def test_a_counter_that_is_lost_begins_anew(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    one, other = start([server]), start([server])
    one.fill("k", b"x", "t")
    noted = one.do(one.commands.note())
    before = one.bump("u")
    server.say("delete", b"suite:n")
    assert one.read("k", "t") == b"x"  # its tag is there
    after = other.bump("u")
    assert after.partition(b".")[0] != before.partition(b".")[0]
    assert not not_after(after, noted)
    assert not not_after(before, other.do(other.commands.note()))
    assert tokens(one, "made") == [BORN]  # what else may have been lost?


def test_a_restart_is_an_empty_cache(
    server: MemcachedServer, start: Callable[..., Process], face: str
) -> None:
    one, other = start([server], face=face), start([server], face=face)
    one.fill("k", b"x", "t")
    stamp, fence = one.stamp("t"), other.fence("u")
    server.restart()
    assert one.read("k", "t") == "absent"
    assert one.put("k", b"x", stamp) == "changed_meanwhile"
    assert tokens(one, "u") == [BORN]
    assert other.do(other.commands.renew(fence)) == 1
    assert set(tokens(one, "u")) == {BORN, fence.token}
    assert one.stamp("t").vector != stamp.vector


# how long things live


def test_a_short_lived_entry_does_not_shorten_the_life_of_its_tags(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    one = start([server])
    one.fill("k", b"x", "t")
    long = read_tag(server.say("get", key_of(one.client, "t"))).until
    stamp = one.stamp("t")
    storing = one.commands.store("short", b"x", stamp, TIMES, life=1.0)
    assert one.do(storing) is None
    assert read_tag(server.say("get", key_of(one.client, "t"))).until == long
    storing = one.commands.store("longer", b"x", stamp, TIMES, life=3600.0)
    assert one.do(storing) is None
    assert read_tag(server.say("get", key_of(one.client, "t"))).until > long


def test_more_than_thirty_days_is_no_date(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    one, times = start([server]), Times(1.0, 2.0, 3.0)
    stamp = one.stamp("t", keep=1e9)
    storing = one.commands.store("k", b"x", stamp, times, life=1e9)
    assert one.do(storing) is None
    assert one.read("k", "t") == b"x"
    assert one.do(one.commands.extend("k", times, life=1e9)) is True
    assert one.read("k", "t") == b"x"
    assert MOST_SECONDS == 30 * 24 * 3600


# what isn't ours, and what doesn't fit


@pytest.mark.parametrize("junk", [b"", b"junk", b"x.1,5;a", b"\xff" * 99])
def test_a_foreign_tag_or_counter_is_replaced_and_not_relied_on(
    server: MemcachedServer, start: Callable[..., Process], junk: bytes
) -> None:
    one = start([server])
    one.fill("k", b"x", "t")
    server.say("set", key_of(one.client, "t"), junk)
    assert one.read("k", "t") == "tag_unknown"
    assert tokens(one, "t") == [BORN]
    server.say("set", b"suite:n", junk)
    before = one.bump("t")
    assert before.endswith(b".1")
    assert one.bump("t").endswith(b".2")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda _: b"junk", "foreign"),
        (lambda _: b"", "foreign"),
        (lambda data: data[:20], "truncated"),
        (lambda data: data[:-1], "truncated"),
        (lambda data: data[:12] + b"\xff" + data[13:], "corrupted"),
        (lambda data: data[:2] + b"\xff" + data[3:], "other_layout"),
    ],
    ids=["junk", "empty", "start", "end", "byte", "layout"],
)
def test_an_entry_that_cannot_be_read_is_a_miss(
    server: MemcachedServer,
    start: Callable[..., Process],
    spoil: Callable[[bytes], bytes],
    reason: str,
) -> None:
    one = start([server])
    one.fill("k", b"x", "t")
    key = entry_key(one, "k")
    server.say("set", key, spoil(server.say("get", key)))
    assert one.read("k", "t") == reason
    assert one.fill("k", b"y", "t") is None
    assert one.read("k", "t") == b"y"


def test_an_entry_that_is_too_large_is_not_kept(
    start_servers: Callable[..., list[MemcachedServer]],
    start: Callable[..., Process],
    face: str,
) -> None:
    servers = start_servers(1, "-I", "512k", "-m", "64")
    one = start(servers, face=face)
    assert one.fill("k", b"x" * 500_000, "t") is None
    assert one.fill("k", b"x" * 524_000, "t") == "too_large"
    assert one.fill("l", b"x" * 10_000_000, "t") == "too_large"
    # and where it is the server that says so
    link = one.client.peers[0].take(1e12)
    link._largest = 1 << 40
    assert link.do("set", (b"m", b"x" * 600_000, 0)) == "too_large"
    assert one.fill("k", b"y", "t") is None
    assert one.read("k", "t") == b"y"
    assert not one.client.peers[0]._breaker.failing


def test_two_prefixes_know_nothing_of_each_other(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    one, other = start([server], prefix="one"), start([server], prefix="other")
    one.fill("k", b"x", "t")
    assert other.read("k", "t") == "absent"
    other.fill("k", b"y", "t")
    other.bump("t")
    assert one.read("k", "t") == b"x"
    prefixes = {key.partition(b":")[0] for key in server.all_keys()}
    assert prefixes == {b"one", b"other"}

"""
Servers that are gone, hang, are none, or can't be relied on.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from pymemcache.exceptions import MemcacheUnexpectedCloseError

from tests.services.processes import free_port
from tests.support.memcached import key_of, open_client, server_of, tag_on
from yokedcache.errors import StoreError, UsageError
from yokedcache.stores.memcached.layout import LONGEST_PREFIX, Names
from yokedcache.stores.memcached.link import Link
from yokedcache.stores.memcached.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import MemcachedServer
    from yokedcache.testing.stores import Process

pytestmark = pytest.mark.timeout(120)


# what is refused


def test_a_server_without_cas_is_refused(
    start_servers: Callable[..., list[MemcachedServer]], start: Callable[..., Process]
) -> None:
    one = start(start_servers(1, "-C"), sure=False)
    with pytest.raises(StoreError, match="started without `cas`"):
        one.stamp("t")


def test_a_server_that_keeps_its_memory_over_restarts_is_refused(
    start_servers: Callable[..., list[MemcachedServer]], start: Callable[..., Process]
) -> None:
    one = start(start_servers(1, "-e", "memory"), sure=False)
    with pytest.raises(StoreError, match="keeps its memory over restarts"):
        one.stamp("t")


def test_a_server_of_another_kind_says_so(
    redis_url: str, start: Callable[..., Process], face: str
) -> None:
    class Other:
        port = int(redis_url.rpartition(":")[2].partition("/")[0])
        address = f"127.0.0.1:{port}"

    one = start([Other()], sure=False, face=face)
    with pytest.raises(StoreError, match="answers as no Memcached does"):
        one.stamp("t")


def test_nobody_listens(start: Callable[..., Process], face: str) -> None:
    class Nobody:
        port = free_port()
        address = f"127.0.0.1:{port}"

    one = start([Nobody()], sure=False, face=face)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:\d+ can't be reached to stamp"):
        one.stamp("t")


def test_who_knows_other_servers_is_refused(
    start_servers: Callable[..., list[MemcachedServer]], start: Callable[..., Process]
) -> None:
    servers = start_servers(2)
    early = start(servers[:1], sure=False, prefix="other")
    early.client.perform(early.commands.read("k"), 20.0)
    start(servers, prefix="other")
    late = start(servers[:1], sure=False, prefix="other")
    for asking in (late.commands.read("k"), early.commands.stamp(["t"])):
        with pytest.raises(StoreError, match="with other servers than these"):
            late.client.perform(asking, 20.0)
    # one who was connected already finds out where it would change something
    with pytest.raises(StoreError, match="with other servers than these"):
        early.fence("t")


@pytest.mark.parametrize("prefix", ["", "a b", "ä", "a\n", "x" * 201, "a*"])
def test_a_prefix_that_cannot_begin_keys_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="can't begin keys"):
        Names(prefix, ["a:1"])


def test_the_longest_prefix_makes_keys_that_are_short_enough(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    one = start([server], prefix="x" * LONGEST_PREFIX)
    assert one.fill("k" * 10_000, b"x", "t" * 10_000) is None
    assert one.read("k" * 10_000) == b"x"


# what goes wrong on the way


def test_a_connection_that_failed_is_never_used_again(server: MemcachedServer) -> None:
    link = Link(
        (server.host, server.port),
        Names("suite", [server.address]),
        Memory(),
        time.monotonic() + 20,
    )
    server.say("set", b"k", b"1")
    unique = link.do("gets", ([b"k"],)).found[b"k"][1]
    server.restart()
    # in its new life the same number means another thing
    while server.say("gets", b"k")[1] != unique:
        server.say("set", b"k", b"2")
    for _ in range(2):
        with pytest.raises((OSError, MemcacheUnexpectedCloseError)):
            link.do("cas", (b"k", b"3", unique, 0))
    assert server.say("get", b"k") == b"2"


def test_connections_that_were_cut_while_nobody_used_them_cost_nothing(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    one = start([server])
    one.fill("k", b"x", "t")
    threads = [threading.Thread(target=one.read, args=("k", "t")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.restart()
    for _ in range(10):
        assert one.read("k", "t") == "absent"


def test_a_server_that_hangs_costs_no_more_than_the_limit(
    server: MemcachedServer, start: Callable[..., Process], face: str
) -> None:
    one = start([server], face=face)
    one.fill("k", b"x", "t")
    with server.suspended():
        began = time.monotonic()
        with pytest.raises(StoreError, match="in time"):
            one.do(one.commands.read("k", ["t"]), 0.1)
        with pytest.raises(StoreError, match="in time"):
            one.do(one.commands.fence(["t"], b"token"), 0.1)
        assert time.monotonic() - began < 10
    assert one.read("k", "t") in {b"x", "commit_in_flight"}


def test_a_server_that_answers_byte_by_byte_costs_no_more_than_the_limit() -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle() -> None:
            connection, _ = listening.accept()
            with connection:
                while not over.wait(0.01):
                    connection.sendall(b"S")

        thread = threading.Thread(target=trickle)
        thread.start()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            Link(listening.getsockname(), Names("suite", ["x"]), Memory(), began + 0.2)
        assert time.monotonic() - began < 10
        over.set()
        thread.join()


def test_what_was_sent_to_a_server_that_hung_does_no_harm_when_it_goes_on(
    server: MemcachedServer, start: Callable[..., Process]
) -> None:
    one, other = start([server]), start([server])
    one.fill("k", b"old", "t")
    fencing = one.commands.fence(["t"], b"token").steps()
    link = one.client.peers[0].take(1e12)
    step = next(fencing)
    while step.command != "cas" or step.arguments[0] != key_of(one.client, "t"):
        step = fencing.send(link.do(step.command, step.arguments))
    with server.suspended():
        link.deadline.ends = time.monotonic() + 0.1
        with pytest.raises(TimeoutError):
            link.do(step.command, step.arguments)
        link.close()
    # its writer was told that it failed; what is owed is a lift, and that is enough
    raised = one.do(one.commands.fence(["u"], b"token"))
    raised.tags = one.commands.tags(["t"])
    one.lift(raised)
    assert other.stamp("t").unusable is None
    assert other.read("k", "t") == "changed"


# one of several


def test_a_dead_server_takes_what_lies_there_and_nothing_else(
    start_servers: Callable[..., list[MemcachedServer]],
    start: Callable[..., Process],
    face: str,
) -> None:
    servers = start_servers(3)
    one, other = start(servers, face=face), start(servers, face=face)
    tags = [tag_on(one.client, servers, server) for server in servers]
    for tag in tags:
        one.fill(tag, b"x", tag)
    dead = servers[1]
    raised = one.fence(*tags)
    dead.kill()
    with pytest.raises(StoreError) as failed:
        one.lift(raised)
    assert failed.value.facts["partly"] is True
    assert dead.address in str(failed.value)
    for place, tag in enumerate(tags):
        if place == 1:
            with pytest.raises(StoreError):
                other.stamp(tag)
        else:
            assert other.stamp(tag).unusable is None  # lifted, though one failed
            key = next(k for k in map(str, range(99)) if on(one, k) is not dead.port)
            assert other.fill(key, b"y", tag) is None
            assert other.read(key, tag) == b"y"
    assert one.do(one.commands.note()).count(b" ") == 1
    dead.restart()
    assert server_of(one.client, servers, tags[1]) is dead  # nothing has moved


def test_a_lift_that_is_tried_again_costs_nothing_on_the_servers_that_were_told(
    start_servers: Callable[..., list[MemcachedServer]], start: Callable[..., Process]
) -> None:
    servers = start_servers(2)
    one, other = start(servers), start(servers)
    dead, alive = (tag_on(one.client, servers, server) for server in servers)
    raised = one.fence(dead, alive)
    servers[0].kill()
    with pytest.raises(StoreError):
        one.lift(raised)
    stamp = other.stamp(alive)
    assert stamp.unusable is None
    with pytest.raises(StoreError):
        one.lift(raised)
    assert other.stamp(alive).vector == stamp.vector
    servers[0].restart()
    one.lift(raised)
    assert other.stamp(alive).vector == stamp.vector
    # once all were told it is a lift like any other
    one.lift(raised)
    assert other.stamp(alive).vector != stamp.vector


def test_a_bump_that_is_tried_again_costs_nothing_on_the_servers_that_were_told(
    start_servers: Callable[..., list[MemcachedServer]],
    start: Callable[..., Process],
    face: str,
) -> None:
    servers = start_servers(2)
    one, other = start(servers, face=face), start(servers)
    dead, alive = (tag_on(one.client, servers, server) for server in servers)
    for tag in (dead, alive):
        assert other.stamp(tag).unusable is None
    before = other.stamp(alive).vector
    servers[0].kill()
    bump = one.commands.bump([dead, alive])
    with pytest.raises(StoreError):
        one.do(bump)
    stamp = other.stamp(alive)
    assert stamp.vector != before
    with pytest.raises(StoreError):
        one.do(bump)
    servers[0].restart()
    one.do(bump)
    assert other.stamp(alive).vector == stamp.vector
    # once all were told it is a bump like any other, and so is another one
    one.do(bump)
    again = other.stamp(alive)
    assert again.vector != stamp.vector
    one.do(one.commands.bump([alive]))
    assert other.stamp(alive).vector != again.vector


def on(process: Process, key: str) -> int:
    made: Any = process.commands
    client: Any = process.client
    place = made.names.entry(key)
    return int(client.peers[place.server].address[1])


def test_one_that_fails_is_left_alone_and_then_doubted(
    start_servers: Callable[..., list[MemcachedServer]], start: Callable[..., Process]
) -> None:
    servers = start_servers(2)
    one = start(servers, limit=5.0)
    tags = [tag_on(one.client, servers, server) for server in servers]
    peer = one.client.peers[one.client.commands.tags(tags[:1]).shares[0].server]
    with servers[0].suspended():
        for _ in range(3):
            with pytest.raises(StoreError, match="in time"):
                one.do(one.commands.stamp(tags[:1], noting=False), 0.05)
        with pytest.raises(StoreError, match="left alone") as failed:
            one.do(one.commands.stamp(tags[:1], noting=False))
        assert failed.value.facts["rests"] is True
        with pytest.raises(StoreError, match="left alone"):
            one.fence(tags[0])
        assert one.stamp(tags[1]).unusable is None
    peer._breaker._until = peer._told = 0.0
    assert one.stamp(tags[0]).unusable is None  # it answers again
    with pytest.raises(StoreError, match="not relied on"):
        one.read("k", tags[0])
    one.bump(tags[0])
    peer._doubt.until = 0.0
    one.read("k", tags[0])


def test_a_client_begins_anew_after_a_fork(server: MemcachedServer) -> None:
    client = open_client([server])
    client.perform(client.commands.note(), 20.0)
    (peer,) = client.peers
    inherited = list(peer._free)
    client.begin_anew()
    assert not peer._free
    client.perform(client.commands.note(), 20.0)
    assert list(peer._free) != inherited
    for link in inherited:
        assert link.is_quiet()  # not closed: it is the parent's
        link.close()
    client.close()

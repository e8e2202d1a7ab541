"""
Snapshots (rule 6): what a note of the counters tells apart, step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.memcached import tag_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import MemcachedServer
    from yokedcache.testing.stores import Process

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def servers(
    start_servers: Callable[..., list[MemcachedServer]],
) -> list[MemcachedServer]:
    return start_servers(2)


@pytest.fixture
def tags(start: Callable[..., Process], servers: list[MemcachedServer]) -> list[str]:
    client = start(servers).client
    return [tag_on(client, servers, server) for server in servers]


def note_of(process: Process) -> bytes:
    return bytes(process.do(process.commands.note()))


def vector_of(process: Process, key: str, *tags: str) -> Any:
    return process.do(process.commands.read(key, tags)).vector


def test_a_snapshot_is_served_what_did_not_change_since(
    servers: list[MemcachedServer], start: Callable[..., Process], tags: list[str]
) -> None:
    one, other = start(servers), start(servers)
    one.fill("k", b"x", *tags)
    note = note_of(other)
    assert vector_of(other, "k", *tags).not_after(note)
    one.bump("somebody's")
    assert vector_of(other, "k", *tags).not_after(note)
    for tag in tags:
        one.bump(tag)
        one.fill("k", b"y", *tags)
        assert not vector_of(other, "k", *tags).not_after(note)
        note = note_of(other)


def test_a_snapshot_from_before_a_commit_is_not_served_what_was_read_after_it(
    servers: list[MemcachedServer], start: Callable[..., Process], tags: list[str]
) -> None:
    one, other = start(servers), start(servers)
    one.fill("k", b"old", *tags)
    fence = one.fence(*tags)
    note = note_of(other)  # the fence is up, and COMMIT is still to come
    one.lift(fence)
    one.fill("k", b"new", *tags)
    assert not vector_of(other, "k", *tags).not_after(note)


def test_a_snapshot_is_not_served_what_a_lost_server_or_counter_says(
    servers: list[MemcachedServer], start: Callable[..., Process], tags: list[str]
) -> None:
    one, other = start(servers), start(servers)
    one.fill("k", b"x", *tags)
    note = note_of(other)
    servers[0].say("delete", b"suite:n")
    other.bump("begins a new counter")
    assert vector_of(other, "k", *tags).not_after(note)
    assert not vector_of(other, "k", *tags).not_after(note_of(other))

"""
Operations in each other's way: no order of steps breaks a promise, and each rule is needed.

`histories` says what goes on, and in which orders.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.stores.memcached.histories import LEASE, TIMES, explore
from tests.stores.memcached.world import Actor, World, finished, tags_on_both
from yokedcache.stores.memcached.commands import Commands
from yokedcache.stores.memcached.layout import Names

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.services import MemcachedServer

pytestmark = pytest.mark.timeout(300)

HISTORIES = 400 if "YOKEDCACHE_EVERY_KIND" in os.environ else 30


def test_no_order_of_steps_serves_what_is_old_torn_or_of_another_snapshot(
    two_servers: list[MemcachedServer],
) -> None:
    hits, in_snapshots = explore(two_servers, HISTORIES)
    assert hits > HISTORIES
    assert in_snapshots > HISTORIES / 20


def begin(steps: Generator[str, None, Any]) -> None:
    """
    Do the first step.
    """
    next(steps)
    next(steps)


def test_two_writers_of_one_tag_are_in_each_others_way(
    two_servers: list[MemcachedServer],
) -> None:
    world = World(two_servers)
    names = Names("two", [server.address for server in two_servers])
    one, other = (Actor(world, Commands(names, lease=LEASE)) for _ in range(2))
    tag = tags_on_both(names, 0)[0]
    one.at_once(one.commands.stamp([tag]))
    # both have read the tag; the second is through before the first goes on
    first = one.steps(one.commands.fence([tag], b"first"))
    begin(first)
    raised = other.at_once(other.commands.fence([tag], b"second"))
    fence = finished(first)
    (state,) = other.at_once(other.commands.stamp([tag])).states
    assert {one.token for one in state.fences} == {b"first", b"second"}
    assert state.version == fence.version != raised.version
    # and the same where its server's counter was drawn from in between
    lifting = one.steps(one.commands.lift(fence))
    begin(lifting)
    drawn = other.at_once(other.commands.bump([]))
    lifted = finished(lifting)
    assert lifted.missing == 0
    assert drawn not in {fence.version, lifted.version}
    for actor in (one, other):
        actor.close()


def test_a_tag_that_was_read_before_its_entry_was_stored(
    two_servers: list[MemcachedServer],
) -> None:
    world = World(two_servers)
    names = Names("late", [server.address for server in two_servers])
    actor = Actor(world, Commands(names, lease=LEASE))
    commands = actor.commands
    tags = tags_on_both(names, 0)
    stamp = actor.at_once(commands.stamp(tags, keep=60))
    storing = commands.store("k", b"torn", stamp, TIMES, life=60).steps()
    step = next(storing)
    while step.command != "set":
        step = storing.send(actor.do(step))
    # all tags were seen to stand; now both are changed before the entry is put
    actor.at_once(commands.lift(actor.at_once(commands.fence(tags, b"token"))))
    assert actor.going_on(storing, step) is None
    assert actor.at_once(commands.read("k", tags)).reason == "changed"
    # also where the tags were lost and made anew
    for share in commands.tags(tags).shares:
        world.servers[share.server].say("delete_many", share.keys)
    assert actor.at_once(commands.read("k", tags)).reason == "tag_lost"
    assert actor.at_once(commands.stamp(tags, keep=60)).made == {0, 1}
    assert actor.at_once(commands.read("k", tags)).reason == "changed"
    actor.close()


def test_who_makes_a_tag_and_is_overtaken_begins_again(
    two_servers: list[MemcachedServer],
) -> None:
    world = World(two_servers)
    names = Names("made", [server.address for server in two_servers])
    one, other = (Actor(world, Commands(names, lease=LEASE)) for _ in range(2))
    tag = tags_on_both(names, 0)[0]
    making = one.commands.stamp([tag], keep=60).steps()
    step = next(making)
    while step.command != "cas" or step.arguments[0] == names.counter:
        step = making.send(one.do(step))
    # it has drawn; a whole commit comes and goes, and the tag with it
    raised = other.at_once(other.commands.fence([tag], b"token"))
    lifted = other.at_once(other.commands.lift(raised))
    (share,) = one.commands.tags([tag]).shares
    world.lose(share.server, share.keys[0])
    (state,) = one.going_on(making, step).states
    assert int(state.version.split(b".")[1]) > int(lifted.version.split(b".")[1])
    assert state.orphaned
    for actor in (one, other):
        actor.close()

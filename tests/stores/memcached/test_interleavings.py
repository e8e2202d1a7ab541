"""
Operations in each other's way: between any two steps another one may go on.

A reader looks up what a filler has loaded, one of them in a snapshot, and a writer commits
two rows, whose tags lie on two servers, or one of them. Meanwhile tags and counters are
evicted, and leases pass. Each step is one command; steps are taken in orders that are
drawn at random, and each order is one that could happen.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services import MemcachedServer
from yokedcache.stores.answers import Times
from yokedcache.stores.envelope import Hit
from yokedcache.stores.memcached.commands import Commands
from yokedcache.stores.memcached.layout import Names
from yokedcache.stores.memcached.link import Link
from yokedcache.stores.memcached.memory import Memory
from yokedcache.stores.memcached.steps import Step

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from yokedcache.stores.memcached.steps import Plan

pytestmark = pytest.mark.timeout(300)

HISTORIES = 400 if "YOKEDCACHE_EVERY_KIND" in os.environ else 30
STEPS = 300
SWITCH = 0.12
"""How often another one goes on: some orders take long runs of one alone."""
LEASE = 30.0
TIMES = Times(1.0, 61.0, 121.0)


class World:
    """
    Two servers, what was evicted there, and the time.
    """

    def __init__(self, servers: list[MemcachedServer]) -> None:
        self.servers = servers
        self.now = 1000.0
        self.lost = [0, 0]


class Watched(Memory):
    """
    What a process knows of a server's memory, in a world that makes time pass.
    """

    def __init__(self, world: World, place: int) -> None:
        super().__init__()
        self._world = world
        self._place = place

    def observe(self, stats: Mapping[bytes, Any], now: float) -> None:
        lost = {b"evictions": self._world.lost[self._place]}
        old = {b"time": 1000, b"uptime": 900, b"cmd_flush": 0}
        super().observe({**stats, **old, **lost}, self._world.now)

    def is_young(self, origin: bytes, lease: int, now: float) -> bool:
        return super().is_young(origin, lease, self._world.now)

    def time(self, now: float) -> int | None:
        return round(self._world.now * 1000)


class Actor:
    """
    A process: its own connections, and what it knows of the servers.
    """

    def __init__(self, world: World, commands: Commands) -> None:
        self.commands = commands
        self.links = [
            Link(
                (server.host, server.port),
                commands.names,
                Watched(world, place),
                time.monotonic() + 60,
            )
            for place, server in enumerate(world.servers)
        ]

    def do(self, step: Step) -> Any:
        link = self.links[step.server]
        link.deadline.ends = time.monotonic() + 20
        return link.do(step.command, step.arguments)

    def steps(self, plan: Plan[Any]) -> Generator[None, None, Any]:
        """
        Do a plan step by step.
        """
        steps = plan.steps()
        try:
            step = next(steps)
            while True:
                result = self.do(step)
                yield
                step = steps.send(result)
        except StopIteration as stop:
            return stop.value

    def at_once(self, plan: Plan[Any]) -> Any:
        return finished(self.steps(plan))

    def going_on(self, steps: Generator[Step, Any, Any], step: Step) -> Any:
        """
        Do the rest of a plan, from a step on.
        """
        try:
            while True:
                step = steps.send(self.do(step))
        except StopIteration as stop:
            return stop.value

    def notice_losses(self) -> None:
        notes = self.at_once(self.commands.note()).split(b" ")
        for place, note in enumerate(notes):
            self.do(Step(place, "young", (note[:16], 1)))

    def close(self) -> None:
        for link in self.links:
            link.close()


class History:
    """
    Two rows, and every state that they have had.
    """

    def __init__(
        self, world: World, actors: list[Actor], names: Names, seed: int
    ) -> None:
        self.world = world
        self.actors = actors
        self.names = names
        self.chance = random.Random(seed)
        self.key = f"k{seed}"
        self.tags = tags_on_both(names, seed)
        self.seed = seed
        self.states = [(0, 0)]
        self.raised: Any = None
        self.telling = False
        self.lost_fence = False
        self.hits = self.snapshot_hits = 0

    def writer(self) -> Generator[None]:
        actor = self.actors[0]
        for number in range(4):
            changed = self.chance.choice([(0,), (1,), (0, 1), (0, 1)])
            tags = [self.tags[row] for row in changed]
            token = b"t%dx%d" % (self.seed, number)
            self.telling = True
            fence = yield from actor.steps(actor.commands.fence(tags, token))
            self.raised, self.telling = fence, False
            yield from self.pause()
            one, other = self.states[-1]
            self.states.append((one + (0 in changed), other + (1 in changed)))
            yield from self.pause()
            self.raised, self.telling = None, True
            yield from actor.steps(actor.commands.lift(fence))
            self.telling = False

    def pause(self) -> Generator[None]:
        """
        Take a while, in which others go on.
        """
        for _ in range(self.chance.randrange(6)):
            yield

    def filler(self, actor: Actor) -> Generator[None]:
        while True:
            plan = actor.commands.stamp(self.tags, keep=60)
            stamp = yield from actor.steps(plan)
            one, _ = self.states[-1]
            yield
            _, other = self.states[-1]
            yield
            payload = b"%d,%d" % (one, other)
            storing = actor.commands.store(self.key, payload, stamp, TIMES, life=60)
            yield from actor.steps(storing)

    def reader(self, actor: Actor) -> Generator[None]:
        while True:
            # under its fence a commit is seen at once, or nothing is
            allowed = len(self.states) - 1
            plan = actor.commands.read(self.key, self.tags)
            found = yield from actor.steps(plan)
            if isinstance(found, Hit):
                self.hits += 1
                assert state_of(found) in self.states[allowed:]

    def snapshot(self, actor: Actor) -> Generator[None]:
        while True:
            note = yield from actor.steps(actor.commands.note())
            seen = self.states[-1]
            yield
            for _ in range(3):
                plan = actor.commands.read(self.key, self.tags)
                found = yield from actor.steps(plan)
                if isinstance(found, Hit) and found.vector.not_after(note):
                    self.snapshot_hits += 1
                    assert state_of(found) == seen

    def evictor(self) -> Generator[None]:
        actor = self.actors[0]
        for place in range(4):
            while place % 2 and self.raised is None:
                yield  # some are lost with a fence
            made = actor.commands.tags(self.tags)
            share = self.chance.choice(made.shares)
            key = self.chance.choice([*share.keys * 3, self.names.counter])
            self.world.lost[share.server] += 1
            self.world.servers[share.server].say("delete", key)
            self.lost_fence = self.raised is not None
            yield

    def time(self) -> Generator[None]:
        while True:
            # who is telling the servers of a commit does so in less than a lease
            if not self.telling:
                if self.raised is not None:
                    actor = self.actors[0]
                    actor.at_once(actor.commands.renew(self.raised))
                self.world.now += LEASE + 3
            yield

    def run(self) -> None:
        """
        Let one go on for a while, then another.
        """
        _, one, other, third = self.actors
        often = [
            *(self.writer(), self.filler(one), self.reader(other)),
            *(self.reader(one), self.snapshot(third)),
        ]
        seldom = [self.evictor(), self.time()]
        actor = filling = often[1]
        patience = 0
        for _ in range(STEPS):
            if self.lost_fence:  # a load begins: the worst that can be
                actor, patience, self.lost_fence = filling, 45, False
            if patience:
                patience -= 1
            elif self.chance.random() < SWITCH:
                rare = seldom and self.chance.random() < 0.2
                actor = self.chance.choice(seldom if rare else often)
            try:
                next(actor)
            except StopIteration:
                (often if actor in often else seldom).remove(actor)
                actor = self.chance.choice(often)


def finished(steps: Generator[None, None, Any]) -> Any:
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        return stop.value


def state_of(found: Hit) -> tuple[int, ...]:
    return tuple(map(int, bytes(found.payload).split(b",")))


def tags_on_both(names: Names, seed: int) -> list[str]:
    tags: dict[int, str] = {}
    number = 0
    while len(tags) < 2:
        name = f"tag {seed} {number}"
        number += 1
        (share,) = names.tags([name]).shares
        tags.setdefault(share.server, name)
    return [tags[0], tags[1]]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[MemcachedServer]]:
    with MemcachedServer.several(2) as running:
        yield running


def explore(servers: list[MemcachedServer], histories: int) -> tuple[int, int]:
    for server in servers:
        server.flush()
    world = World(servers)
    names = Names("yc", [server.address for server in servers])
    commands = Commands(names, lease=LEASE)
    actors = [Actor(world, commands) for _ in range(4)]
    hits = in_snapshots = 0
    try:
        for seed in range(histories):
            for actor in actors:  # what was lost in another history is long ago
                actor.notice_losses()
            world.now += LEASE + 3
            history = History(world, actors, names, seed)
            history.run()
            hits += history.hits
            in_snapshots += history.snapshot_hits
    finally:
        for actor in actors:
            actor.close()
    return hits, in_snapshots


def test_no_order_of_steps_serves_what_is_old_torn_or_of_another_snapshot(
    servers: list[MemcachedServer],
) -> None:
    hits, in_snapshots = explore(servers, HISTORIES)
    assert hits > HISTORIES
    assert in_snapshots > HISTORIES / 20


def test_two_writers_of_one_tag_are_in_each_others_way(
    servers: list[MemcachedServer],
) -> None:
    world = World(servers)
    names = Names("two", [server.address for server in servers])
    one, other = (Actor(world, Commands(names, lease=LEASE)) for _ in range(2))
    tag = tags_on_both(names, 0)[0]
    one.at_once(one.commands.stamp([tag]))
    # both have read the tag; the second is through before the first goes on
    first = one.steps(one.commands.fence([tag], b"first"))
    next(first)
    raised = other.at_once(other.commands.fence([tag], b"second"))
    fence = finished(first)
    (state,) = other.at_once(other.commands.stamp([tag])).states
    assert {one.token for one in state.fences} == {b"first", b"second"}
    assert state.version == fence.version != raised.version
    # and the same where its server's counter was drawn from in between
    lifting = one.steps(one.commands.lift(fence))
    next(lifting)
    drawn = other.at_once(other.commands.bump([]))
    lifted = finished(lifting)
    assert lifted.missing == 0
    assert drawn not in {fence.version, lifted.version}
    for actor in (one, other):
        actor.close()


def test_a_tag_that_was_read_before_its_entry_was_stored(
    servers: list[MemcachedServer],
) -> None:
    world = World(servers)
    names = Names("late", [server.address for server in servers])
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
    servers: list[MemcachedServer],
) -> None:
    world = World(servers)
    names = Names("made", [server.address for server in servers])
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
    world.servers[share.server].say("delete", share.keys[0])
    world.lost[share.server] += 1
    (state,) = one.going_on(making, step).states
    assert int(state.version.split(b".")[1]) > int(lifted.version.split(b".")[1])
    assert state.orphaned
    for actor in (one, other):
        actor.close()

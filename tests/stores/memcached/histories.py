"""
Histories: operations in each other's way, between any two steps of which others go on.

Two rows are changed by two writers, loaded by fillers and looked up by readers, one of
them in a snapshot. Their tags lie on two servers. Meanwhile tags and counters are lost,
leases pass and writers die. A step is one command; every order of steps is one that
could happen. They are drawn at random, and by stories: orders in which a store that
lacks a rule is caught, with something random in between.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.stores.memcached.world import Actor, World, tags_on_both
from yokedcache.stores.answers import Times
from yokedcache.stores.envelope import Hit
from yokedcache.stores.memcached.commands import Commands
from yokedcache.stores.memcached.layout import Names

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.services import MemcachedServer
    from yokedcache.stores.answers import RaisedFence

LEASE: Final = 30.0
TIMES: Final = Times(1.0, 61.0, 121.0)
PATIENCE: Final = 90
"""Steps in which a course gets where it is told to."""

STORIES: Final = """
A fence is lost: writer fenced, lose tag, filler loaded, writer committed, filler stored,
reader read

A lease after that: writer fenced, lose tag, lease, filler loaded, writer committed,
filler stored, reader read

A lease after the tag was made again: writer fenced, lose tag, filler stored, lease,
filler loaded, writer committed, filler stored, reader read

All is lost: writer fenced, flush, filler loaded, writer committed, filler stored, reader
read

Two fences are lost: writer fenced, other fenced, lose tag, filler stored, other lifted,
filler loaded, writer committed, filler stored, reader read

One of two is lifted: writer fenced, other fenced, other lifted, filler loaded, writer
committed, filler stored, reader read

An entry comes late: filler set e, writer committed, reader read, filler stored, reader
read, writer lifted, reader read

What was loaded is old: filler loaded, writer committed, filler stored, reader read,
writer lifted, reader read

Who makes a tag is overtaken: expire, filler cas t, writer fenced, filler loaded, writer
committed, filler stored, reader read

And nothing is left of that: expire, filler add t, writer fenced, lose tag, filler loaded,
writer committed, filler stored, reader read

A draw comes late: expire, filler cas n, writer lifted, other lifted, filler stored,
writer lifted, other lifted, reader read

A snapshot under a fence: writer fenced, snapshot noted, writer lifted, filler stored,
filler stored, snapshot read

Of one who dies: writer fenced, snapshot noted, writer committed, die, lease, adopt,
filler stored, filler stored, snapshot read

And whose fence was lost: writer fenced, lose tag, filler stored, snapshot noted, writer
committed, die, lease, filler stored, filler stored, snapshot read

A snapshot and another counter: snapshot noted, lose counter, writer lifted, filler
stored, filler stored, snapshot read
"""
"""Orders that are one's undoing who lacks a rule."""

EVENTS: Final = (
    *("lose tag", "lose tag", "lose counter", "expire", "flush"),
    *("lease", "die", "adopt"),
)


class History:
    """
    Two rows, every state that they have had, and those who are at it.
    """

    def __init__(
        self, world: World, actors: list[Actor], names: Names, seed: int
    ) -> None:
        self.world = world
        self.actors = actors
        self.counter = names.counter
        self.seed = seed
        self.chance = random.Random(seed)
        self.key = f"k{seed}"
        self.tags = tags_on_both(names, seed)
        self.states = [(0, 0)]
        self.raised: dict[str, RaisedFence] = {}
        self.orphans: list[RaisedFence] = []
        self.telling: set[str] = set()
        self.told: list[str] = []
        self.hits = self.snapshot_hits = 0
        self.courses = {
            "writer": self.writer("writer", actors[0]),
            "other": self.writer("other", actors[1]),
            "filler": self.filler(actors[2]),
            "second": self.filler(actors[3]),
            "reader": self.reader(actors[3]),
            "snapshot": self.snapshot(actors[1]),
        }

    # who is at it

    def writer(self, name: str, actor: Actor) -> Generator[str]:
        for number in range(1000):
            changed = self.chance.choice([(0,), (1,), (0, 1), (0, 1)])
            tags = [self.tags[row] for row in changed]
            token = b"%bx%dx%d" % (name.encode(), self.seed, number)
            self.telling.add(name)
            fence = yield from actor.steps(actor.commands.fence(tags, token))
            self.telling.discard(name)
            self.raised[name] = fence
            yield "fenced"
            if name not in self.raised:
                continue  # it died, and another one comes
            one, other = self.states[-1]
            self.states.append((one + (0 in changed), other + (1 in changed)))
            yield "committed"
            if name not in self.raised:
                continue
            del self.raised[name]
            self.telling.add(name)
            yield from actor.steps(actor.commands.lift(fence))
            self.telling.discard(name)
            yield "lifted"

    def filler(self, actor: Actor) -> Generator[str]:
        while True:
            stamp = yield from actor.steps(actor.commands.stamp(self.tags, keep=60))
            yield "stamped"
            one, _ = self.states[-1]
            yield "half"
            _, other = self.states[-1]
            yield "loaded"
            payload = b"%d,%d" % (one, other)
            storing = actor.commands.store(self.key, payload, stamp, TIMES, life=60)
            began = len(self.states) - 1
            refused = yield from actor.steps(storing)
            # what is said to be stored held while it was: the process may rely on that
            assert refused or (one, other) in self.states[began:]
            yield "stored"

    def reader(self, actor: Actor) -> Generator[str]:
        while True:
            # under its fence a commit is seen at once, or nothing is
            allowed = len(self.states) - 1
            found = yield from actor.steps(actor.commands.read(self.key, self.tags))
            if isinstance(found, Hit):
                self.hits += 1
                assert state_of(found) in self.states[allowed:]
            yield "read"

    def snapshot(self, actor: Actor) -> Generator[str]:
        while True:
            note = yield from actor.steps(actor.commands.note())
            seen = self.states[-1]
            yield "noted"
            for _ in range(3):
                plan = actor.commands.read(self.key, self.tags)
                found = yield from actor.steps(plan)
                if isinstance(found, Hit) and found.vector.not_after(note):
                    self.snapshot_hits += 1
                    assert state_of(found) == seen
                yield "read"

    # what happens

    def lose(self, what: str) -> None:
        """
        Have a server lose a tag, most often one that is fenced, or its counter.
        """
        made = self.actors[0].commands.tags(self.tags)
        if self.raised and self.chance.random() < 0.9:
            made = self.chance.choice(list(self.raised.values())).tags
        share = self.chance.choice(made.shares)
        key = self.counter if what == "counter" else self.chance.choice(share.keys)
        self.world.lose(share.server, key)

    def flush(self) -> None:
        """
        Have a server lose all, as somebody told it long ago.
        """
        made = self.actors[0].commands.tags(self.tags)
        share = self.chance.choice(made.shares)
        self.world.lose(share.server, self.counter, *share.keys, counted=False)

    def expire(self) -> None:
        """
        Have a tag's time be over, if it has one.
        """
        made = self.actors[0].commands.tags(self.tags)
        for share in self.chance.sample(made.shares, 1):
            (key,) = share.keys
            if b";" not in (self.world.servers[share.server].say("get", key) or b""):
                self.world.lose(share.server, key, counted=False)

    def lease(self) -> None:
        """
        Let a lease pass, in which living writers vouch for their fences.
        """
        if self.telling:
            return  # who tells the servers of a commit does so in less time
        actor = self.actors[0]
        for fence in self.raised.values():
            actor.at_once(actor.commands.renew(fence))
        self.world.now += LEASE + 3

    def die(self) -> None:
        """
        End the writers whose fences are up.
        """
        self.orphans += self.raised.values()
        self.raised.clear()

    def adopt(self) -> None:
        """
        Take down what the dead have left, once their lease is over.
        """
        actor = self.actors[3]
        for fence in self.orphans:
            actor.at_once(actor.commands.adopt(fence.tags, fence.token))

    # in which order

    def run(self, stories: int = 6) -> None:
        """
        Let everybody go on, in any order, and in that of some stories.
        """
        for _ in range(stories):
            self.wander(20)
            self.settle()
            story = self.chance.choice(STORIES.split("\n\n"))
            for part in " ".join(story.split()).split(": ")[1].split(", "):
                if self.chance.random() < 0.1:
                    self.wander(10)
                self.tell(*part.split(" ", 1))

    def settle(self) -> None:
        """
        Let all be over that is under way, so that there is something to be served.
        """
        for name in ("writer", "other"):
            while name in self.raised or name in self.telling:
                self.go_on(name)
        for part in ("lease", "adopt", "filler stored", "filler stored", "reader read"):
            self.tell(*part.split(" ", 1))

    def wander(self, steps: int) -> None:
        names = list(self.courses)
        name = self.chance.choice(names)
        for _ in range(steps):
            draw = self.chance.random()
            if draw < 0.01:
                self.tell(*self.chance.choice(EVENTS).split())
            elif draw < 0.15:
                name = self.chance.choice(names)
            self.go_on(name)

    def tell(self, who: str, goal: str = "") -> None:
        """
        Let something happen, or somebody go on until that is reached.
        """
        if who not in self.courses:
            self.told.append(f"{who} {goal}".strip())
            getattr(self, who)(*goal.split())
            return
        for _ in range(PATIENCE):
            if self.go_on(who) == goal:
                return

    def go_on(self, who: str) -> str:
        done = next(self.courses[who])
        self.told.append(f"{who} {done}")
        return done


def state_of(found: Hit) -> tuple[int, ...]:
    return tuple(map(int, bytes(found.payload).split(b",")))


def explore(servers: list[MemcachedServer], histories: int) -> tuple[int, int]:
    """
    Go through so many histories; count what was served, and in snapshots.
    """
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

"""
Plans of a Cluster in each other's way: between any two parts another one may go on.

A reader looks up what a filler has loaded, and a writer commits two rows, whose
tags lie on two nodes, or one of them. What each of them asks of a node is one step; steps are taken in
orders that are drawn at random, and each order is one that could happen.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.redis import RedisCluster
from tests.support.redis_faces import FACES, TIMES, ClusterFace
from yokedcache.stores.redis.results import Hit

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from yokedcache.stores.redis.cluster.plans import Plan

pytestmark = pytest.mark.timeout(120)

HISTORIES = 150 if "YOKEDCACHE_EVERY_KIND" in os.environ else 50
SWITCH = 0.25
"""How often another one goes on: some orders take long runs of one alone."""


class History:
    """
    Two rows, and every state that they have had.
    """

    def __init__(
        self, face: ClusterFace, tags: list[str], chance: random.Random
    ) -> None:
        self.face = face
        self.tags = tags
        self.chance = chance
        self.states = [(0, 0)]
        self.returned = 0
        """Which state the commit that returned last has made."""
        self.hits = 0

    def steps(self, plan: Plan[Any]) -> Generator[None, None, Any]:
        """
        Do a plan part by part, those of a round in any order.
        """
        rounds = plan.rounds()
        try:
            parts = next(rounds)
            while True:
                results: list[Any] = [None] * len(parts)
                for place in self.chance.sample(range(len(parts)), len(parts)):
                    results[place] = self.face.do_part(parts[place])
                    yield
                parts = rounds.send(results)
        except StopIteration as stop:
            return stop.value

    def writer(self) -> Generator[None]:
        commands = self.face.commands
        for number in range(3):
            changed = self.chance.choice([(0,), (1,), (0, 1), (0, 1)])
            tags = [self.tags[row] for row in changed]
            fence = yield from self.steps(commands.fence(tags, b"token%d" % number))
            one, other = self.states[-1]
            self.states.append((one + (0 in changed), other + (1 in changed)))
            yield
            yield from self.steps(commands.lift(fence))
            self.returned = len(self.states) - 1

    def filler(self) -> Generator[None]:
        commands = self.face.commands
        while True:
            plan = commands.stamp(self.tags, keep=60, noting=False)
            stamp = yield from self.steps(plan)
            one, _ = self.states[-1]
            yield
            _, other = self.states[-1]
            yield
            payload = b"%d,%d" % (one, other)
            yield from self.steps(commands.store("k", payload, stamp, TIMES, life=60))

    def reader(self) -> Generator[None]:
        while True:
            allowed = self.returned
            plan = self.face.commands.read("k", self.tags)
            found = yield from self.steps(plan)
            if isinstance(found, Hit):
                self.hits += 1
                one, other = map(int, bytes(found.payload).split(b","))
                assert (one, other) in self.states[allowed:]

    def run(self) -> None:
        """
        Let one go on for a while, then another.
        """
        actors = [self.writer(), self.filler(), self.reader(), self.reader()]
        actor = actors[1]
        for _ in range(110):
            if self.chance.random() < SWITCH:
                actor = self.chance.choice(actors)
            try:
                next(actor)
            except StopIteration:
                actors.remove(actor)
                actor = self.chance.choice(actors)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster.running() as running:
        yield running


@pytest.mark.parametrize("kind", FACES)
def test_no_order_of_steps_serves_what_is_old_or_torn(
    cluster: RedisCluster, kind: str
) -> None:
    for node in cluster.primaries:
        node.flush()
    face = ClusterFace(kind, cluster)
    face.settle()
    tags = face.on_nodes(2)
    hits = 0
    for seed in range(HISTORIES):
        history = History(face, tags, random.Random(seed))
        face.do(face.commands.remove("k", tags))
        history.run()
        hits += history.hits
    assert hits > HISTORIES
    face.close()


def test_a_tag_that_was_read_before_its_entry_was_stored(cluster: RedisCluster) -> None:
    for node in cluster.primaries:
        node.flush()
    face = ClusterFace("sync", cluster)
    face.settle()
    tags = face.on_nodes(2)
    stamp = face.stamp(*tags)
    rounds = face.commands.read("k", tags).rounds()
    entry, *others = next(rounds)
    answers = [face.do_part(one) for one in others]
    # the filler reads one row before a commit, and one after it
    face.lift(face.fence(*tags))
    assert face.put("k", b"torn", stamp) == "changed_meanwhile"
    with pytest.raises(StopIteration) as ended:
        rounds.send([face.do_part(entry), *answers])
    assert ended.value.value.reason == "absent"
    face.close()

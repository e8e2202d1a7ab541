"""
A primary of a Cluster is killed, and its replica takes its place.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from consistency.events import now
from consistency.nemeses.nemesis import Nemesis
from tests.services.processes import wait_until
from tests.services.redis import RedisCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


class KilledNode(Nemesis):
    """
    Kills one of three primaries, and starts it again when it was replaced.
    """

    name = "killed_node"
    title = "Cluster: a primary killed, replaced"

    @classmethod
    @contextmanager
    def store(cls) -> Iterator[RedisCluster]:
        """
        Give three primaries, each with a replica.
        """
        with RedisCluster.running(variant=cls.variant, replicas=True) as cluster:
            yield cluster

    def act(self) -> None:
        """
        Kill it; it comes back as a replica.
        """
        cluster: RedisCluster = self.ground.redis
        old = self.ground.dice.choice(cluster.masters())
        old.kill()
        wait_until(lambda: old not in cluster.masters())
        self.back = now()
        old.restart()
        wait_until(cluster.all_follow)

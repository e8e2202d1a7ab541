"""
The primary of a Sentinel service is replaced: it is killed, or told to hand over.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import redis

from consistency.events import now
from consistency.nemeses.nemesis import Nemesis
from tests.services.redis import SentinelGroup, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.redis import RedisServer


PACE = 1000
"""Milliseconds between greetings of sentinels."""
PAUSE = 0.1
"""Seconds after which a sentinel is asked how far it is."""
AGAIN = 5.0
"""Seconds after which it is told once more."""


class KilledPrimary(Nemesis):
    """
    Kills the primary, and starts it again when another has taken its place.
    """

    name = "killed_primary"
    title = "Sentinel: primary killed, replaced"

    @classmethod
    @contextmanager
    def store(cls) -> Iterator[SentinelGroup]:
        """
        Give a primary and its replica, with three sentinels.
        """
        with SentinelGroup.running(variant=cls.variant, pace=PACE) as group:
            yield group

    def act(self) -> None:
        """
        Replace it, and have the old one follow the new one.
        """
        group: SentinelGroup = self.ground.redis
        old = group.primary()
        self.replace(group, old)
        group.take_back(old)

    def replace(self, group: SentinelGroup, old: RedisServer) -> None:
        """
        Have another take its place.
        """
        old.kill()
        group.fail_over(old)
        self.back = now()
        old.restart()


class HandedOver(KilledPrimary):
    """
    Has the primary replaced while it goes on, until it learns of that.
    """

    name = "handed_over"
    title = "Sentinel: primary told to hand over"
    # as the page on shared stores tells: else it answers for a second who has not heard
    variant = Variant(
        options={"min-replicas-to-write": "1", "min-replicas-max-lag": "10"}
    )

    def replace(self, group: SentinelGroup, old: RedisServer) -> None:
        """
        Tell a sentinel to do it.
        """
        told, due = group.sentinels[0], 0.0
        while told.named()[1] == old.port:
            if time.monotonic() >= due:
                # the replica may not be fit for it yet, and a busy machine gives it up
                with contextlib.suppress(redis.ResponseError):
                    told.say("SENTINEL", "FAILOVER", group.name)
                    due = time.monotonic() + AGAIN
            time.sleep(PAUSE)
        # the new one takes no commits before the old one follows it: not back until then
        group.fail_over(old)

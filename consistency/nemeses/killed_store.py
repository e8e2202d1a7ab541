"""
The server is killed, and comes back without what it held, with all or some of it.
"""

from __future__ import annotations

from typing import ClassVar

from consistency.nemeses.nemesis import Nemesis
from consistency.signs import CAME_BACK, FAILURES, FORGOTTEN, LOSSES
from tests.services.redis import Variant

OLDER = 0.3
"""Seconds by which a snapshot is older than the kill, at least."""

LEAST = 5
"""Entries that there must be in a snapshot."""


class KilledStore(Nemesis):
    """
    Kills the server, which keeps nothing, and starts it again after a while.
    """

    name = "killed_store"
    title = "server killed, restarted empty"
    lengths = (0.0, 0.5, 2.5)
    shows = (FAILURES, LOSSES)

    def act(self) -> None:
        """
        Kill it; `restart` returns when it answers.
        """
        self.ground.redis.kill()
        self.last()
        self.ground.redis.restart()


class KilledLasting(KilledStore):
    """
    Does the same to a server that writes to its disk before it answers.
    """

    name = "killed_lasting"
    title = "server killed, restarted with its data"
    variant: ClassVar[Variant] = Variant(persistence="log")


class KilledOlder(KilledStore):
    """
    Does it to a server that comes back as it was a while ago.

    Its tags and entries fit each other, but not what was committed since.
    """

    name = "killed_older"
    title = "server killed, restarted from an older snapshot"
    variant: ClassVar[Variant] = Variant(persistence="snapshot")
    # entries that are in the snapshot must not be over when it comes back
    lengths = (0.0, 0.3, 2.1)
    shows = (FAILURES, LOSSES, FORGOTTEN, CAME_BACK)

    def prepare(self) -> None:
        """
        Have it write down what it holds, if it holds anything, and be told more.
        """
        while len(self._entries()) < LEAST and not self.ground.over.wait(OLDER / 10):
            pass
        self.ground.redis.say("SAVE")
        self.ground.over.wait(OLDER)

    def act(self) -> None:
        """
        Kill it: it has no time to write.
        """
        redis = self.ground.redis
        told = redis.info("persistence")["rdb_changes_since_last_save"]
        self.seen[FORGOTTEN] += int(told)
        super().act()
        # nobody stores any for a lease
        self.seen[CAME_BACK] += len(self._entries())

    def _entries(self) -> list[str]:
        keys: list[str] = self.ground.redis.say("KEYS", "yc:e:*")
        return keys

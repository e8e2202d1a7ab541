"""
The server is killed, and comes back without what it held, or with all of it.
"""

from __future__ import annotations

from typing import ClassVar

from consistency.nemeses.nemesis import Nemesis
from consistency.signs import FAILURES, LOSSES
from tests.services.redis import Variant


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

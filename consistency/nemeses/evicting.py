"""
The server has so little memory that it evicts tags.
"""

from __future__ import annotations

from typing import ClassVar

from consistency.nemeses.nemesis import Nemesis
from consistency.signs import EVICTED, LOSSES
from tests.services.redis import Variant

STEP = 0.02
"""Seconds between two turns of the screw."""


class Evicting(Nemesis):
    """
    Gives a server with `allkeys-lru` less memory than it uses, again and again.
    """

    name = "evicting"
    title = "maxmemory, allkeys-lru: tags evicted"
    reach = "nobody"
    variant: ClassVar[Variant] = Variant(policy="allkeys-lru")
    lengths = (0.1, 0.5, 1.0)
    shows = (EVICTED, LOSSES)

    def act(self) -> None:
        """
        Have a key or more go at each turn, then give it memory again.
        """
        redis = self.ground.redis
        turns = int(self.ground.dice.choice(self.lengths) / STEP)
        try:
            for _ in range(turns):
                used = int(redis.info("memory")["used_memory"])
                redis.configure(maxmemory=used - 1)
                if self.ground.over.wait(STEP):
                    break
        finally:
            redis.configure(maxmemory=0)

    def look(self) -> None:
        """
        Ask how many keys had to go.
        """
        self.seen[EVICTED] = int(self.ground.redis.info("stats")["evicted_keys"])

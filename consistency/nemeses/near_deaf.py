"""
Who gives answers out again without asking hears no more what others change.
"""

from __future__ import annotations

from consistency.nemeses.nemesis import Nemesis, errors
from consistency.signs import NEAR, UNHEARD

USER = "default"


class NearDeaf(Nemesis):
    """
    Refuses all listeners what was announced; look-ups and commits go on.
    """

    name = "near_deaf"
    title = "near, listeners refused"
    reach = "nobody"
    near = 0.1
    lengths = (0.1, 0.5, 2.5)
    shows = (UNHEARD, NEAR)

    def act(self) -> None:
        """
        Take the one right that nobody else needs.
        """
        redis = self.ground.redis
        redis.say("ACL", "SETUSER", USER, "-xrange")
        try:
            self.last()
        finally:
            redis.say("ACL", "SETUSER", USER, "+xrange")

    def look(self) -> None:
        """
        Ask how often one was refused.
        """
        self.seen[UNHEARD] = errors(self.ground.redis.info("errorstats"), "NOPERM")

"""
The server's memory is emptied while it runs.
"""

from __future__ import annotations

from consistency.nemeses.nemesis import Nemesis, errors
from consistency.signs import LOSSES, UNKNOWN_SCRIPTS


class Flushed(Nemesis):
    """
    Removes all keys: entries, tags, fences and the counter.
    """

    name = "flushed"
    title = "FLUSHALL"
    reach = "nobody"
    shows = (LOSSES,)

    def act(self) -> None:
        """
        Remove them in one step.
        """
        self.ground.redis.say("FLUSHALL")


class ScriptsFlushed(Nemesis):
    """
    Removes the scripts that the server was given.
    """

    name = "scripts_flushed"
    title = "SCRIPT FLUSH"
    reach = "nobody"
    shows = (UNKNOWN_SCRIPTS,)

    def act(self) -> None:
        """
        Remove them in one step.
        """
        self.ground.redis.say("SCRIPT", "FLUSH")

    def look(self) -> None:
        """
        Ask how often one was asked for that wasn't there any more.
        """
        told = self.ground.redis.info("errorstats")
        self.seen[UNKNOWN_SCRIPTS] = errors(told, "NOSCRIPT")

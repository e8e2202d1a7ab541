"""
The server's memory is emptied while it runs.
"""

from __future__ import annotations

from consistency.nemeses.nemesis import Nemesis


class Flushed(Nemesis):
    """
    Removes all keys: entries, tags, fences and the counter.
    """

    name = "flushed"
    title = "FLUSHALL"
    reach = "nobody"

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

    def act(self) -> None:
        """
        Remove them in one step.
        """
        self.ground.redis.say("SCRIPT", "FLUSH")

"""
The server hangs: it is stopped and goes on.
"""

from __future__ import annotations

from consistency.nemeses.nemesis import Nemesis


class Stopped(Nemesis):
    """
    Stops the server (SIGSTOP) for a moment, or for longer than anybody waits.
    """

    name = "stopped"
    title = "server stopped and continued"
    lengths = (0.1, 0.5, 2.5)

    def act(self) -> None:
        """
        Stop it; its connections stay open.
        """
        with self.ground.redis.suspended():
            self.last()

"""
The server's password is changed, and nobody is told the new one.
"""

from __future__ import annotations

from consistency.nemeses.nemesis import Nemesis
from tests.services.redis.server import speak

SECRET = "another"


class Password(Nemesis):
    """
    Sets a password and closes the connections, then takes it back.
    """

    name = "password"
    title = "password changed, and back"
    lengths = (0.1, 0.5, 2.5)

    def act(self) -> None:
        """
        Those who are connected would stay so: a password is asked for once.
        """
        redis = self.ground.redis
        redis.say("CONFIG", "SET", "requirepass", SECRET)
        known = redis.url(socket=True, password=SECRET)
        try:
            speak(known, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.last()
        finally:
            speak(known, "CONFIG", "SET", "requirepass", "")

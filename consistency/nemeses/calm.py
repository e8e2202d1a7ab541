"""
Nothing goes wrong: what the others are compared with.
"""

from __future__ import annotations

from consistency.nemeses.nemesis import Nemesis


class Calm(Nemesis):
    """
    Does nothing.
    """

    name = "calm"
    title = "none"
    reach = "nobody"
    shows = ()

    def act(self) -> None:
        """
        Do nothing.
        """

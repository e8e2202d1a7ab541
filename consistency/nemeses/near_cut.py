"""
Who gives answers out again without asking is cut off from the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consistency.nemeses.cut import Cut
from consistency.signs import FAILURES, NEAR

if TYPE_CHECKING:
    from consistency.crew import Member


class NearCut(Cut):
    """
    Resets the connections of one that reads, where all have `near`.
    """

    name = "near_cut"
    title = "near, connections of one reader cut"
    reach = "nobody"
    near = 0.1
    shows = (FAILURES, NEAR)

    def victims(self) -> list[Member]:
        """
        Give those that only read.
        """
        members = self.ground.crew.members
        return [one for one in members if not one.part.writes and one.living]

"""
What is sent to the server and what it answers vanishes, and nobody is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consistency.nemeses.network import Network

if TYPE_CHECKING:
    from tests.services.proxy import Proxy


class BlackHole(Network):
    """
    Lets vanish what all send and are sent.
    """

    name = "black_hole"
    title = "packets of all lost"

    def cut(self, proxy: Proxy) -> None:
        """
        Swallow, both ways; connecting still works.
        """
        proxy.swallow()


class BlackHoleOne(BlackHole):
    """
    Lets vanish what one writer sends and is sent.
    """

    name = "black_hole_one"
    title = "packets of one writer lost"
    reach = "one"

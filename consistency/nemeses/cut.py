"""
Connections to the server are reset, and new ones refused for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consistency.nemeses.network import Network

if TYPE_CHECKING:
    from tests.services.proxy import Proxy


class Cut(Network):
    """
    Resets the connections of all.
    """

    name = "cut"
    title = "connections of all cut"

    def cut(self, proxy: Proxy) -> None:
        """
        Take none before those that there are are reset.
        """
        proxy.refuse()
        proxy.cut()


class CutOne(Cut):
    """
    Resets those of one writer.
    """

    name = "cut_one"
    title = "connections of one writer cut"
    reach = "one"

"""
What is sent to the server and what it answers comes late, in order and whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consistency.nemeses.network import Network

if TYPE_CHECKING:
    from tests.services.proxy import Proxy


class Late(Network):
    """
    Keeps back what all send and are sent: it arrives when nobody waits for it any more.
    """

    name = "late"
    title = "packets of all held back"

    def cut(self, proxy: Proxy) -> None:
        """
        Hold, both ways.
        """
        proxy.hold()


class LateOne(Late):
    """
    Keeps back what one writer sends and is sent.
    """

    name = "late_one"
    title = "packets of one writer held back"
    reach = "one"

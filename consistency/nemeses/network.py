"""
The way to the server is broken, of one writer or of all processes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from consistency.nemeses.nemesis import Nemesis

if TYPE_CHECKING:
    from consistency.crew import Member
    from tests.services.proxy import Proxy


class Network(Nemesis):
    """
    Breaks the way of every process, or of one that is drawn from the `victims`.
    """

    proxied = True
    lengths = (0.1, 0.5, 2.5)

    def victims(self) -> list[Member]:
        """
        Give those of whom one is cut off; nobody if all are.
        """
        return self.ground.writers() if self.reach == "one" else []

    def act(self) -> int | None:
        """
        Break the way for a while.
        """
        victim = None
        proxies = dict(self.ground.proxies)
        if candidates := self.victims():
            victim = self.ground.dice.choice(candidates).part.process
            proxies = {victim: proxies[victim]}
        for proxy in proxies.values():
            self.cut(proxy)
        self.last()
        for proxy in proxies.values():
            proxy.restore()
        return victim

    @abstractmethod
    def cut(self, proxy: Proxy) -> None:
        """
        Break one process's way.
        """

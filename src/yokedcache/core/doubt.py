"""
Whether what a store says may be relied on: not so soon after an outage.

Others may have changed something in it that they couldn't tell. They do as soon as they
reach the store again, so it is left a while for that. An outage is noticed by whoever
asks in vain; of one failure alone it depends on how long nothing was answered: whoever
has something to tell insists for a while before it goes on without.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS: Final = 1.0
"""How long nothing is served: what is owed is tried to be told four times a second."""


class Doubt:
    """
    What is known of the last outage.

    Threads may race in it: then the doubt may last a little longer.

    Args:
        insisted: seconds for which whoever changes something tries to tell it, at least.
    """

    __slots__ = ("_clock", "_insisted", "heard", "missed", "until")

    def __init__(self, clock: Callable[[], float], *, insisted: float) -> None:
        self._clock = clock
        self._insisted = insisted
        self.heard = clock()
        """When that was sent which was answered last."""
        self.missed = False
        """Something was asked in vain, and nothing was answered since."""
        self.until = 0.0
        """When it ends; 0 if there is none, infinite if the store has to answer first."""

    @property
    def holds(self) -> bool:
        """
        Tell whether nothing may be served now.
        """
        if not self.until:
            return False
        if self._clock() < self.until:
            return True
        self.until = 0.0
        return False

    def begin(self) -> None:
        """
        Rely on nothing before the store has answered, and a while from then on.
        """
        self.until = inf

    def failed(self) -> None:
        """
        Note that something was asked in vain.
        """
        self.missed = True
        if self.until:
            # another outage: so little is asked meanwhile that one failure has to do
            self.until = inf

    def answered(self, began: float, *, over: bool) -> bool:
        """
        Note that something was answered; tell whether an outage has ended with it.

        Args:
            began: when that was sent.
            over: it is known already to have ended.
        """
        if self.missed:
            self.missed = False
            over = over or self._clock() - self.heard >= self._insisted
        self.heard = began
        if not (over or self.until == inf):
            return False
        self.until = self._clock() + SECONDS
        return True

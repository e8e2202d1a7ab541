"""
How often a shared store has lost its memory, or a part of it, as one process meets it.

Nobody says so: what was there is a miss, and tags that are made anew are born fenced, since
fences may have been lost as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.runtime.log import once

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.stores.answers import TagState


class Losses:
    """
    Counts them.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kept = False
        """Something was stored since the last loss: before, the store may just be new."""

    def kept(self) -> None:
        """
        Note that something was stored.
        """
        self._kept = True

    def meet(self, states: Iterable[TagState]) -> None:
        """
        Note how tags stand that a load is about to rely on.
        """
        if self._kept and any(state.orphaned for state in states):
            self._kept = False
            self.count += 1
            once(
                "store_lost",
                "",
                "a shared store has lost tags, or all that it had: it was restarted, "
                "flushed or replaced, or evicts keys. What depends on them is loaded "
                "and not kept for one lease; `store_losses` in the statistics counts "
                "how often",
            )

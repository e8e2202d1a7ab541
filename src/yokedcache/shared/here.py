"""
Conversations held where the caller is, for blocking code: a thread, or a greenlet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.core.tags import holds, unfenced
from yokedcache.errors import StoreError
from yokedcache.runtime.drive import run
from yokedcache.shared.allowance import Allowance
from yokedcache.stores.answers import SAME

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from yokedcache.core.entry import Entry
    from yokedcache.core.tags import Vector
    from yokedcache.shared.server import Server


class Here:
    """
    What a `SharedStore` does for code that blocks.
    """

    server: Server

    @property
    def owed(self: Any) -> int:
        """
        Tell how many changes the shared store is still to be told.
        """
        return int(self._fencing.owed)

    @property
    def announced_inside(self: Any) -> int:
        """
        Tell how many commits announced themselves inside their own transactions.
        """
        return int(self._fencing.said)

    @property
    def failures(self: Any) -> int:
        """
        Tell how often the shared store failed.
        """
        return int(self.server.failures)

    @property
    def lost(self: Any) -> int:
        """
        Tell how often the shared store has lost tags, or all that it had.
        """
        return int(self.losses.count)

    @property
    def state(self: Any) -> str:
        """
        Tell how the shared store is used by now.
        """
        return str(self.server.state)

    def allowance(self: Any) -> Allowance:
        """
        Give what does the operations of one call's conversations.
        """
        return Allowance(self.server, self._clock)

    def stands_here(self: Any, entry: Entry) -> bool:
        """
        Tell whether an entry that was found still holds.
        """
        if entry.question is None:
            return False
        asking = self.asking(entry)
        try:
            found = self.server.here(asking)
        except StoreError:
            return False
        return found is SAME and holds(entry.vector) and unfenced(entry.vector)

    def put(self: Any, key: Hashable, entry: Entry, guard: Vector = ()) -> str | None:
        """
        Store an entry if its vector holds unfenced; else say why it was not.
        """
        keeping = self.keep(key, entry, guard)
        refused: str | None = run(keeping, self.allowance().here)
        return refused

    def remove(self: Any, key: Hashable) -> bool:
        """
        Drop the entry under a key; tell whether there was one that still held.
        """
        return bool(run(self.removing(key), self.allowance().here))

    def bump(self: Any, names: Iterable[str]) -> None:
        """
        Make everything that depends on one of the tags unservable, in every process.
        """
        run(self.bumping(names), self.allowance().here)

"""
A store that keeps nothing: everything goes through to the loader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from yokedcache.core.entry import Entry
    from yokedcache.core.tags import Vector


class NullStore(MemoryStore):
    """
    Where a cache is switched off; what would have been looked up is counted.
    """

    name = "null"
    off = "switched_off"

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock, max_entries=1, max_bytes=1)
        self.plain = {}

    def put(
        self,
        key: Hashable,  # noqa: ARG002
        entry: Entry,  # noqa: ARG002
        guard: Vector = (),  # noqa: ARG002
    ) -> str | None:
        """
        Keep nothing, and say so.
        """
        return self.off

"""
The short way of a hit over a shared store: what was seen to hold is asked to still do.

A call whose key is its plain arguments, and whose answer this process has decoded
already, needs no plan: one question, and the answer that everything stands as it did.
The pulse says that nothing of this process (an open transaction, a capture, a commit)
wants more to be asked; whatever isn't plain takes the long way.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from yokedcache.core.keys import flat_key
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from yokedcache.core.entry import Entry


class Standing(enum.Enum):
    """
    What became of a question.
    """

    SAME = enum.auto()
    OTHER = enum.auto()
    UNKNOWN = enum.auto()
    SILENT = enum.auto()
    """Nothing is known, and that was waited for."""


class Again:
    """
    Asks for the entries of one function.
    """

    __slots__ = ("_near", "_server", "_store", "_token")

    def __init__(self, store: Any, token: str) -> None:
        self._store = store
        self._near = bool(store.near_for)
        self._server = store.server
        self._token = token

    def known(self, values: tuple[Any, ...]) -> Entry | None:
        """
        Give the entry of a call, if nothing is to be asked but whether it still stands.
        """
        key = flat_key(self._token, values)
        entry: Entry | None = None if key is None else self._store.known(key)
        return entry

    def ask(self, entry: Entry) -> Standing:
        """
        Ask in the calling thread.
        """
        if self._near and self._store.stays_near(entry):
            entry.hits += 1
            return Standing.SAME
        asking = self._store.asking(entry)
        try:
            found = self._server.here(asking)
        except StoreError:
            return self._failed(entry, asking)
        return self._judged(entry, asking, found)

    async def ask_async(self, entry: Entry) -> Standing:
        """
        Ask in the running event loop.
        """
        if self._near and self._store.stays_near(entry):
            entry.hits += 1
            return Standing.SAME
        asking = self._store.asking(entry)
        try:
            found = await self._server.perform_async(asking)
        except StoreError:
            return self._failed(entry, asking)
        return self._judged(entry, asking, found)

    def _failed(self, entry: Entry, asking: Any) -> Standing:
        waited = self._store.suspects.failed(entry.key, asking.at)
        return Standing.SILENT if waited else Standing.UNKNOWN

    def _judged(self, entry: Entry, asking: Any, found: Any) -> Standing:
        if not self._store.stands(entry, asking, found):
            return Standing.OTHER
        entry.hits += 1
        return Standing.SAME

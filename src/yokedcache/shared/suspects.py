"""
Keys under which something may lie that is too large to be read in time.

A look-up that was waited for in vain may have met that, or an outage: whoever looks the
same key up next asks first how large it is. Otherwise each would wait in vain, and hold
the server up for others. It lies there until something is stored in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from yokedcache.codec.frame import LARGEST
from yokedcache.errors import StoreError
from yokedcache.shared.keys import shared_key
from yokedcache.stores.contract import Measuring

if TYPE_CHECKING:
    from collections.abc import Hashable

    from yokedcache.shared.server import Server
    from yokedcache.stores.silent import Asking

LARGEST_ENTRY: Final = LARGEST + 64 * 1024
"""Bytes that an entry takes at most, with its head and its tags."""

MOST: Final = 256
"""Keys that are suspected at a time: in an outage all are that are looked up."""


class Suspects:
    """
    Those of one process.
    """

    __slots__ = ("_commands", "_server", "keys")

    def __init__(self, server: Server) -> None:
        self._server = server
        commands = server.commands
        self._commands = commands if isinstance(commands, Measuring) else None
        self.keys: dict[Hashable, None] = {}

    def failed(self, key: Hashable, began: float) -> bool:
        """
        Note that a look-up failed which began then; tell if it was waited for.
        """
        waited = self._server.waited(began)
        if waited and self._commands is not None:
            if len(self.keys) >= MOST:
                self.keys.clear()
            self.keys[key] = None
        return waited

    def measuring(self, key: Hashable) -> Asking[bool]:
        """
        Ask if what lies under a key is larger than an entry can be; if not, trust it again.
        """
        raw = shared_key(key)
        if raw is None or self._commands is None:  # pragma: no cover - not suspected
            return False
        try:
            size = yield self._commands.measure(raw)
        except StoreError:
            return False
        if size > LARGEST_ENTRY:
            return True
        self.keys.pop(key, None)
        return False

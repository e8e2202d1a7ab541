"""
Keys under which something may lie that is too large to be read in time.

A look-up that was waited for in vain may have met that, or an outage: whoever looks the
same key up next asks first how large it is. Otherwise each would wait in vain, and hold
the server up for others. That it is larger than any entry tells it at once; what is smaller
is tried once more. It lies there until something is stored in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from yokedcache.codec.frame import LARGEST
from yokedcache.errors import StoreError
from yokedcache.shared.keys import shared_key
from yokedcache.stores.contract import Measuring

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from yokedcache.shared.server import Server
    from yokedcache.stores.silent import Asking

LARGEST_ENTRY: Final = LARGEST + 64 * 1024
"""Bytes that an entry takes at most, with its head and its tags."""

SLOW: Final = 256 * 1024
"""Bytes that may be what took too long: if they were waited for in vain twice, they are."""

MOST: Final = 256
"""Keys that are suspected at a time: in an outage all are that are looked up."""

_REFUSED: Final = 60.0
"""Seconds for which a store isn't asked again that refuses to measure."""


class Suspects:
    """
    Those of one process.
    """

    __slots__ = ("_clock", "_commands", "_refused_until", "_server", "keys")

    def __init__(self, server: Server, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        commands = server.commands
        self._commands = commands if isinstance(commands, Measuring) else None
        self._refused_until = 0.0
        self.keys: dict[Hashable, int] = {}
        """How large what lies there was when it was measured last; 0 if it wasn't yet."""

    def failed(self, key: Hashable, began: float) -> bool:
        """
        Note that a look-up failed which began then; tell if it was waited for.
        """
        waited = self._server.waited(began)
        if (
            waited
            and self._commands is not None
            and self._clock() >= self._refused_until
        ):
            if len(self.keys) >= MOST:
                self.keys.clear()
            self.keys.setdefault(key, 0)
        return waited

    def clear_of(self, key: Hashable) -> None:
        """
        Suspect nothing under a key any more: it was read, or something was stored there.
        """
        self.keys.pop(key, None)

    def measuring(self, key: Hashable) -> Asking[bool]:
        """
        Ask if what lies under a key is too large to come in time.
        """
        raw, before = shared_key(key), self.keys.get(key, 0)
        if raw is None or self._commands is None:  # pragma: no cover - not suspected
            return False
        try:
            size = yield self._commands.measure(raw)
        except StoreError as error:
            if "refusal" in error.facts:
                self._refused_until = self._clock() + _REFUSED
                self.keys.clear()
            return False
        if size > LARGEST_ENTRY or (size == before and size >= SLOW):
            return True
        if key in self.keys:
            self.keys[key] = size
        return False

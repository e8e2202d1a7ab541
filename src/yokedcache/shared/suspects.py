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
    from collections.abc import Callable, Hashable

    from yokedcache.shared.server import Server
    from yokedcache.stores.silent import Asking

LARGEST_ENTRY: Final = LARGEST + 64 * 1024
"""Bytes that an entry takes at most, with its head and its tags."""

MOST: Final = 256
"""Keys that are suspected at a time: in an outage all are that are looked up."""

_UNABLE: Final = frozenset({"NOPERM", "ERR"})
"""Refusals of a user who may not measure, and of a proxy that doesn't know the command."""

_LATER: Final = 60.0
"""Seconds for which such a store isn't asked again."""


class Suspects:
    """
    Those of one process.
    """

    __slots__ = ("_clock", "_commands", "_later", "_server", "keys")

    def __init__(self, server: Server, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        commands = server.commands
        self._commands = commands if isinstance(commands, Measuring) else None
        self._later = 0.0
        self.keys: dict[Hashable, bool] = {}
        """Whether it is known already that what lies there is too large."""

    def failed(self, key: Hashable, began: float) -> bool:
        """
        Note that a look-up failed which began then; tell if it was waited for.
        """
        waited = self._server.waited(began)
        if waited and self._commands is not None and self._clock() >= self._later:
            if len(self.keys) >= MOST:
                self.keys.clear()
            self.keys.setdefault(key, False)
        return waited

    def measuring(self, key: Hashable) -> Asking[bool]:
        """
        Ask if what lies under a key is larger than an entry can be; if not, trust it again.

        If that can't be asked now, what is known stands: a look-up would wait in vain.
        """
        raw = shared_key(key)
        if raw is None or self._commands is None:  # pragma: no cover - not suspected
            return False
        try:
            size = yield self._commands.measure(raw)
        except StoreError as error:
            if error.facts.get("refusal") in _UNABLE:
                self._later = self._clock() + _LATER
                self.keys.clear()
            return self.keys.get(key, False)
        if size > LARGEST_ENTRY:
            self.keys[key] = True
            return True
        self.keys.pop(key, None)
        return False

"""
One server as this process reaches it: its connections, and whether it is asked at all.

Where there are several, each is left alone by itself when it fails, and not relied on for
a while when it answers again, as the near side does with a whole store.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.breaker import Breaker
from yokedcache.core.doubt import Doubt
from yokedcache.errors import StoreError
from yokedcache.stores.memcached.link import CAUGHT, Link
from yokedcache.stores.memcached.memory import Memory
from yokedcache.stores.memcached.steps import CHANGES, LOOKS

if TYPE_CHECKING:
    from yokedcache.stores.addresses import Address
    from yokedcache.stores.memcached.layout import Names

TOLD_AGAIN: Final = 0.2
"""Seconds after which a server that fails may be told of a change again."""

_MOST: Final = 16
"""Connections that nobody uses; more are closed."""

_inherited: Final[list[Any]] = []
"""A parent's connections: they are closed with the parent."""


class Peer:
    """
    One of the servers.

    Args:
        alone: it is the only one, and left alone by whoever asks.
        brief: seconds that a server which fails may take.
    """

    def __init__(
        self, address: Address, names: Names, *, alone: bool, brief: float
    ) -> None:
        self.address = address
        self._names = names
        self.memory = Memory()
        self._alone = alone
        self._brief = brief
        self._free: deque[Link] = deque()
        self._breaker = Breaker(time.monotonic)
        self._told = 0.0
        # nobody insists on a server that is one of several
        self._doubt = Doubt(time.monotonic, insisted=0.0)

    @property
    def partly(self) -> bool:
        """
        Whether the store goes on without it.
        """
        return not self._alone

    @property
    def rests(self) -> bool:
        """
        Whether it alone is left alone now, or not relied on.
        """
        return not self._alone and (self._breaker.failing or self._doubt.holds)

    def admit(self, asked: str, ends: float) -> float:
        """
        Say until when an operation may take here.

        Raises:
            StoreError: it may not be asked now.
        """
        if self._alone:
            return ends
        now = time.monotonic()
        if asked in LOOKS and self._doubt.holds:
            raise StoreError("it is not relied on so soon after an outage", rests=True)
        if not self._breaker.failing:
            return ends
        if asked in CHANGES:
            if now < self._told + TOLD_AGAIN:
                raise StoreError("it is left alone, having failed", rests=True)
            self._told = now
        elif self._breaker.open:
            raise StoreError("it is left alone, having failed", rests=True)
        return min(ends, now + self._brief)

    def take(self, ends: float) -> Link:
        """
        Give a connection that nobody else uses.
        """
        while True:
            try:
                link = self._free.pop()
            except IndexError:
                return Link(self.address, self._names, self.memory, ends)
            if link.is_quiet():
                return link
            drop(link)

    def give_back(self, link: Link) -> None:
        """
        Let others use a connection.
        """
        if link.usable and len(self._free) < _MOST:
            self._free.append(link)
        else:
            drop(link)

    def failed(self) -> None:
        """
        Note that it failed.
        """
        self._told = time.monotonic()
        self._doubt.failed()
        self._breaker.failed()

    def answered(self) -> None:
        """
        Note that it answered.
        """
        self._doubt.answered(time.monotonic(), over=self._breaker.answered())

    def close(self) -> None:
        """
        Close what nobody uses now.
        """
        with suppress(IndexError):
            while True:
                drop(self._free.pop())

    def disown(self) -> None:
        """
        Leave all connections to the parent, in a child after a fork.
        """
        _inherited.extend(self._free)
        self._free.clear()
        self.memory.begin_anew()


def drop(link: Link) -> None:
    """
    Close a connection, whatever state it is in.
    """
    with suppress(*CAUGHT):
        link.close()

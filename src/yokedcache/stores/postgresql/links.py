"""
The connections that nobody uses just now.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import psycopg

from yokedcache.stores.postgresql.faults import RefusedError

if TYPE_CHECKING:
    from yokedcache.stores.postgresql.talking import Link

MOST: Final = 4
"""Connections of a process, and of an event loop: each is a process of the server's."""

_inherited: Final[list[Any]] = []
"""A parent's connections: closing them here would end the parent's sessions."""


class Links:
    """
    Connections that are free; those that are still being opened are taken last.
    """

    def __init__(self) -> None:
        self._free: deque[Link] = deque()
        self.met = False
        """Whether anybody has answered as PostgreSQL does."""

    def take(self) -> Link | None:
        """
        Give one, if there is one.
        """
        try:
            return self._free.pop()
        except IndexError:
            return None

    def give_back(self, link: Link) -> None:
        """
        Let others use one, unless it may still have something to say to somebody else.
        """
        self.met = self.met or not link.wanted
        if not link.fine:
            link.close()
        elif link.wanted:
            self._free.appendleft(link)
        else:
            link.used = True
            self._free.append(link)

    def close(self) -> None:
        """
        Close all that are free.
        """
        while (link := self.take()) is not None:
            link.close()

    def disown(self) -> None:
        """
        Leave all to the parent, in a child after a fork.
        """
        _inherited.extend(self._free)
        self._free.clear()


def was_left(link: Link, error: BaseException) -> bool:
    """
    Tell whether a connection failed that had lain there: the server may be another by now.
    """
    if isinstance(error, RefusedError):
        return link.used and error.ended
    return link.used and isinstance(error, psycopg.Error) and link.lost

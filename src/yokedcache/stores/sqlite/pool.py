"""
The connections that a process keeps open; each is one caller's at a time.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from yokedcache.stores.sqlite.files import identify

if TYPE_CHECKING:
    from yokedcache.stores.sqlite.files import Link

_MOST: Final = 16
"""Connections that nobody uses; more are closed."""

_inherited: Final[list[Any]] = []
"""A parent's connections: closing them here could touch the parent's file."""


class Pool:
    """
    What is open and free.
    """

    def __init__(self) -> None:
        self._free: deque[Link] = deque()

    def take(self, path: str) -> Link | None:
        """
        Give a connection to the file that a path leads to now, if one is free.
        """
        while True:
            try:
                link = self._free.pop()
            except IndexError:
                return None
            if identify(path) == link.identity:
                return link
            drop(link)

    def give_back(self, link: Link) -> None:
        """
        Let others use a connection.
        """
        if len(self._free) < _MOST:
            self._free.append(link)
        else:
            drop(link)

    def close(self) -> None:
        """
        Close all that are free.
        """
        with suppress(IndexError):
            while True:
                drop(self._free.pop())

    def disown(self) -> None:
        """
        Leave all to the parent, in a child after a fork.
        """
        _inherited.extend(self._free)
        self._free.clear()


def drop(link: Link) -> None:
    """
    Close a connection, whatever state it is in.
    """
    with suppress(sqlite3.Error):
        link.connection.close()

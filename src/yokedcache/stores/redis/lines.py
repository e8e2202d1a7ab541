"""
The connections that one event loop may have: those that are free, and who waits.

A server is asked over few connections however many tasks ask; the others wait their turn,
first come, first served. Whoever is done hands on what he had: a connection that stays,
or the place for opening one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from yokedcache.stores.redis.lasting import Lasting

    Turn: TypeAlias = "asyncio.Future[Lasting | None]"


class Lines:
    """
    So many connections at most.
    """

    def __init__(self, most: int) -> None:
        self.free: list[Lasting] = []
        """Open, and asked nothing; what was used last is the last."""
        self._places = most
        """How many may yet be opened."""
        self._waiting: deque[Turn] = deque()

    async def take(self) -> Lasting | None:
        """
        Wait for a connection that is free, or for a place to open one: `None`.
        """
        if self.free:
            return self.free.pop()
        if self._places:
            self._places -= 1
            return None
        turn: Turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on(turn.result())
            raise

    def give(self, line: Lasting) -> None:
        """
        Let others use a connection.
        """
        self._hand_on(line)

    def leave(self) -> None:
        """
        Let others open a connection instead of one that was closed.
        """
        self._hand_on(None)

    def _hand_on(self, line: Lasting | None) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled
                turn.set_result(line)
                return
        if line is None:
            self._places += 1
        else:
            self.free.append(line)

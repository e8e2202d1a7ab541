"""
A pause in a conversation, where others can go on meanwhile.
"""

from __future__ import annotations

import asyncio
import time

from yokedcache.runtime.switching import awaited, in_greenlet


class Rest:
    """
    Asks for a pause of so many seconds, where others can go on meanwhile.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def here(self) -> None:
        """
        Take it where the caller is: a thread sleeps, a greenlet lets its loop go on.
        """
        if in_greenlet():
            awaited(self.awaited())
        else:
            time.sleep(self.seconds)

    async def awaited(self) -> None:
        """
        Take it in the running event loop.
        """
        await asyncio.sleep(self.seconds)

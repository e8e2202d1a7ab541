"""
Waiting in threads.
"""

from __future__ import annotations

import selectors
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from yokedcache.errors import StoreError
from yokedcache.stores.postgresql.faults import CAUGHT, RefusedError
from yokedcache.stores.postgresql.links import MOST, Links, was_left
from yokedcache.stores.postgresql.talking import Link, follow

if TYPE_CHECKING:
    from yokedcache.stores.postgresql.operations import Operation
    from yokedcache.stores.postgresql.talking import Waits

_Selector: Final[Any] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Threads:
    """
    Does operations in the calling thread; a few at once, the others wait their turn.
    """

    def __init__(self, conninfo: str, making: bytes) -> None:
        self._conninfo = conninfo.encode()
        self._making = making
        self._links = Links()
        self._places = threading.Semaphore(MOST)
        self.close = self._links.close
        self.disown = self._links.disown

    def perform(self, operation: Operation[Any], limit: float) -> Any:
        """
        Do an operation within so many seconds.
        """
        ends = time.monotonic() + limit
        if not self._places.acquire(timeout=limit):
            raise StoreError("all connections are in use")
        try:
            return self._try(operation, ends)
        finally:
            self._places.release()

    def _try(self, operation: Operation[Any], ends: float) -> Any:
        while True:
            link = self._links.take() or Link(self._conninfo)
            try:
                return _drive(link, follow(link, operation, self._making, ends), ends)
            except (*CAUGHT, RefusedError) as error:
                if not was_left(link, error):
                    raise
                self._links.close()
            finally:
                self._links.give_back(link)


def _drive(link: Link, steps: Waits, ends: float) -> Any:
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(_wait(link, wanted, ends))
    except StopIteration as stop:
        return stop.value


def _wait(link: Link, wanted: int, ends: float) -> int:
    with _Selector() as selector:
        selector.register(link.pg.socket, wanted)
        left = ends - time.monotonic()
        ready: list[tuple[Any, int]] = selector.select(left) if left > 0 else []
    if not ready:
        raise TimeoutError
    return ready[0][1]

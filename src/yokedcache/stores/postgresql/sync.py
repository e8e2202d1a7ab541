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
    from yokedcache.stores.postgresql.making import Schema
    from yokedcache.stores.postgresql.operations import Operation
    from yokedcache.stores.postgresql.talking import Left, Waits

_Selector: Final[Any] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Threads:
    """
    Does operations in the calling thread; a few at once, the others wait their turn.
    """

    def __init__(self, conninfo: str, schema: Schema) -> None:
        self._conninfo = conninfo.encode()
        self._schema = schema
        self._links = Links()
        self._places = threading.Semaphore(MOST)
        self.close = self._links.close
        self.disown = self._links.disown

    @property
    def met(self) -> bool:
        """
        Whether anybody has answered as PostgreSQL does.
        """
        return self._links.met

    def perform(self, operation: Operation[Any], limit: float) -> Any:
        """
        Do an operation within so many seconds.
        """
        ends = time.monotonic() + limit

        def left() -> float:
            return ends - time.monotonic()

        if not self._places.acquire(timeout=limit):
            raise StoreError("all connections are in use")
        try:
            return self._try(operation, left)
        finally:
            self._places.release()

    def _try(self, operation: Operation[Any], left: Left) -> Any:
        while True:
            link = self._links.take() or Link(self._conninfo)
            try:
                return _drive(link, follow(link, operation, self._schema, left), left)
            except (*CAUGHT, RefusedError) as error:
                if not was_left(link, error):
                    raise
                self._links.close()
            finally:
                self._links.give_back(link)


def _drive(link: Link, steps: Waits, left: Left) -> Any:
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(_wait(link, wanted, left()))
    except StopIteration as stop:
        return stop.value


def _wait(link: Link, wanted: int, seconds: float) -> int:
    with _Selector() as selector:
        selector.register(link.pg.socket, wanted)
        ready: list[tuple[Any, int]] = selector.select(seconds) if seconds > 0 else []
    if not ready:
        raise TimeoutError
    return ready[0][1]

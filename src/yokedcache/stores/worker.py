"""
Threads that wait, so that no event loop has to.

For a file one is enough: it has one writer at a time. Servers can be asked by several.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from yokedcache.stores.patience import within

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Work: TypeAlias = tuple[
        Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]
    ]

T = TypeVar("T")


class Worker:
    """
    Does work for event loops, begun in the order in which they ask.

    Threads are started when they are needed, at most so many.
    """

    def __init__(self, name: str, most: int = 1) -> None:
        self._name = name
        self._most = most
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._busy = _Count()

    async def do(self, work: Callable[[], T], limit: float) -> T:
        """
        Have something done; give it up after so many seconds.

        What was given up isn't begun any more; if it was begun, it is done all the same.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            self._busy.add(1)
            if self._started < min(self._busy.value, self._most):
                thread = threading.Thread(
                    target=_serve,
                    args=(self._queue, self._busy),
                    name=self._name,
                    daemon=True,
                )
                thread.start()
                self._started += 1
            self._queue.put((work, loop, future))
        async with within(limit):
            return await future

    def close(self) -> None:
        """
        End the threads once they have done what they were asked.
        """
        with self._lock:
            for _ in range(self._started):
                self._queue.put(None)
            self._queue, self._started, self._busy = SimpleQueue(), 0, _Count()


class _Count:
    """
    How much has been asked for and isn't done yet.
    """

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self, more: int) -> None:
        """
        Count more, or less.
        """
        with self._lock:
            self.value += more


def _serve(queue: SimpleQueue[Work | None], busy: _Count) -> None:
    while (asked := queue.get()) is not None:
        work, loop, future = asked
        if not future.done():
            _do(work, loop, future)
        busy.add(-1)
        del asked, work, loop, future  # else kept until the next one comes


def _do(
    work: Callable[[], Any],
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Any],
) -> None:
    result = error = None
    try:
        result = work()
    except BaseException as raised:  # noqa: BLE001 - whoever asked decides
        error = raised
    try:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_settle, future, result, error)
    finally:
        del work, loop, future, error  # which knows this frame


def _settle(
    future: asyncio.Future[Any], result: Any, error: BaseException | None
) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)

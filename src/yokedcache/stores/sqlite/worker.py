"""
A thread that waits for locks, so that no event loop has to.

One is enough: the file has one writer at a time.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Work: TypeAlias = tuple[
        Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]
    ]

T = TypeVar("T")


class Worker:
    """
    Does work for event loops, in the order in which they ask.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def do(self, work: Callable[[], T], limit: float) -> T:
        """
        Have something done; give it up after so many seconds.

        What was given up isn't begun any more; if it was begun, it is done all the same.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_serve,
                    args=(self._queue,),
                    name="yokedcache-sqlite",
                    daemon=True,
                )
                self._thread.start()
            self._queue.put((work, loop, future))
        async with asyncio.timeout(limit):
            return await future

    def close(self) -> None:
        """
        End the thread once it has done what it was asked.
        """
        with self._lock:
            if self._thread is not None:
                self._queue.put(None)
                self._queue, self._thread = SimpleQueue(), None


def _serve(queue: SimpleQueue[Work | None]) -> None:
    while (asked := queue.get()) is not None:
        work, loop, future = asked
        if not future.done():
            _do(work, loop, future)
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
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_settle, future, result, error)


def _settle(
    future: asyncio.Future[Any], result: Any, error: BaseException | None
) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)

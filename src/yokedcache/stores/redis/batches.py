"""
Look-ups of one turn of an event loop, sent in one go.

Many tasks ask at the same time. One by one, each would take a connection and a trip of
its own; so what is asked before the loop comes round again is written into one packet,
and asked once where several ask for the same. A look-up begins no earlier by that: it
is sent after everyone in it began.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from typing import TypeAlias

    from yokedcache.stores.redis.operations import Operation

    Tell: TypeAlias = Callable[[list[Any] | BaseException], None]
    Begin: TypeAlias = Callable[[list[Operation[Any]], float, Tell], bool]
    Waiting: TypeAlias = tuple[Operation[Any], list[Any]]

MOST = 256
"""Operations in one packet."""


class Batches:
    """
    What is asked of one store in one event loop.

    `do` has operations done: it gives the result of each, or its `StoreError`. `begin`
    has them done without a task, if it can at once, and tells what came of it.
    """

    def __init__(
        self,
        do: Callable[[list[Operation[Any]], float], Awaitable[list[Any]]],
        begin: Begin | None = None,
    ) -> None:
        self._do = do
        self._begin = begin
        self._waiting: dict[Hashable, Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, operation: Operation[Any], limit: float) -> asyncio.Future[Any]:
        """
        Do an operation with whatever else is asked in this turn.

        Its `sent` is drawn when the packet is.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        waiting = self._waiting
        if not waiting:
            loop.call_soon(self._send, limit)
        same = waiting.get(operation.same)
        if same is None:
            waiting[operation.same] = (operation, [(operation, future)])
        else:
            same[1].append((operation, future))
        return future

    def _send(self, limit: float) -> None:
        waiting, self._waiting = list(self._waiting.values()), {}
        for start in range(0, len(waiting), MOST):
            some = waiting[start : start + MOST]
            operations = [operation for operation, _ in some]
            tell = partial(_share_out, some)
            try:
                begun = self._begin is not None and self._begin(operations, limit, tell)
            except Exception as error:  # noqa: BLE001 - whoever waits is told
                tell(error)
                continue
            if not begun:
                task = asyncio.ensure_future(self._answer(operations, limit, tell))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, operations: list[Operation[Any]], limit: float, tell: Tell
    ) -> None:
        try:
            results = await self._do(operations, limit)
        except BaseException as error:
            tell(error)
            if not isinstance(error, Exception):
                raise
        else:
            tell(results)


def _share_out(waiting: list[Waiting], outcome: list[Any] | BaseException) -> None:
    """
    Tell all who wait what came of what they asked.
    """
    if isinstance(outcome, BaseException):
        for _, futures in waiting:
            _settle(futures, outcome, None)
        return
    for (operation, futures), result in zip(waiting, outcome, strict=True):
        _settle(futures, result, operation.sent)


def _settle(futures: list[Any], result: Any, sent: float | None) -> None:
    for operation, future in futures:
        if future.done():  # its caller was cancelled
            continue
        if sent is not None:
            operation.sent = sent
        if isinstance(result, StoreError):
            # one for each: a shared one would gather the tracebacks of all
            error = StoreError(result.message, **result.facts)
            error.__cause__ = result.__cause__
            future.set_exception(error)
        elif isinstance(result, Exception):
            future.set_exception(StoreError(f"a fault of yokedcache: {result!r}"))
        elif isinstance(result, BaseException):
            future.cancel()  # the loop is ending
        else:
            future.set_result(result)

"""
Renewing an entry while its old value is served: in a thread, or a task of the loop.
"""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any

from yokedcache.core.plans import lead
from yokedcache.runtime.drive import run, run_async
from yokedcache.runtime.log import logger

if TYPE_CHECKING:
    import asyncio

    from yokedcache.calls import CallHost
    from yokedcache.core.operations import Refresh
    from yokedcache.core.plans import Answer

_background: set[asyncio.Task[Any]] = set()


def refresh(host: CallHost, op: Refresh) -> bool:
    """
    Renew an entry outside the caller's context: it must inherit no transaction.
    """
    plan = lead(op.key, op.tags, op.seat)
    host.wait_anew()  # nobody waits with it
    if host.blocking:
        context = contextvars.Context()
        thread = threading.Thread(
            target=context.run,
            args=(_quietly, plan, host),
            name="yokedcache-refresh",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter ends
            return False
        return True
    import asyncio  # imported late, as in runtime.flights

    task = asyncio.get_running_loop().create_task(
        _quietly_async(plan, host), context=contextvars.Context()
    )
    _background.add(task)

    def end(task: asyncio.Task[Any]) -> None:
        _background.discard(task)
        # a task that was cancelled before its first step never ran the plan
        host.machine.terminal.land(op.seat, None)

    task.add_done_callback(end)
    return True


def _quietly(plan: Any, host: CallHost) -> None:
    try:
        _say_unless_loaded(host, run(plan, host.perform))
    except Exception as error:  # noqa: BLE001 - nobody is there to take it
        _say_failed(host, error)


async def _quietly_async(plan: Any, host: CallHost) -> None:
    try:
        _say_unless_loaded(host, await run_async(plan, host))
    except Exception as error:  # noqa: BLE001 - nobody is there to take it
        _say_failed(host, error)


def _say_unless_loaded(host: CallHost, answer: Answer) -> None:
    if answer.loaded is not None and answer.loaded.error is not None:
        _say_failed(host, answer.loaded.error)


def _say_failed(host: CallHost, error: Exception) -> None:
    logger.warning("background refresh of %s failed: %s", host.tally.name, repr(error))

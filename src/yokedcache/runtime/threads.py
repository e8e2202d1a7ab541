"""
Threads that a captured function starts carry its capture.

Tasks and `asyncio.to_thread` inherit context variables; `Thread.start` and
`ThreadPoolExecutor.submit` (and so `run_in_executor`) don't. What is read there
would be lost to the capture, and the result stored without it. So from the first
capture on both hand the capture over; while none is open they do what they did.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from yokedcache.runtime.forks import Guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

_variables: tuple[ContextVar[Any], ...] = ()
_worker: Any = None
_guard = Guard()


def carry(*variables: ContextVar[Any]) -> None:
    """
    Hand variables over to threads from now on, while the first has a value.
    """
    global _variables, _worker  # noqa: PLW0603 - installed once a process
    if _variables:
        return
    with _guard:
        if _variables:
            return
        from concurrent.futures import thread as pool

        _worker = getattr(pool, "_worker", None)
        _wrap(threading.Thread, "start", _start)
        _wrap(pool.ThreadPoolExecutor, "submit", _submit)
        _variables = variables


def _wrap(holder: Any, name: str, wrapper: Callable[..., Any]) -> None:
    original = getattr(holder, name)

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(holder, name, method)


def _start(original: Callable[..., Any], thread: Any) -> Any:
    # a pool's worker outlives what it was started for; its tasks carry their own
    if getattr(thread, "_target", None) is not _worker:
        load = _load()
        if load is not None:
            thread.run = functools.partial(_run, load, thread, thread.run)
    return original(thread)


def _submit(
    original: Callable[..., Any],
    executor: Any,
    function: Any,
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    load = _load()
    if load is not None:
        function = functools.partial(_within, load, function)
    return original(executor, function, *args, **kwargs)


def _load() -> tuple[Any, ...] | None:
    """
    Give what is to be carried, if anything is.
    """
    if not _variables or _variables[0].get() is None:
        return None
    return tuple(variable.get() for variable in _variables)


def _run(load: tuple[Any, ...], thread: Any, run: Callable[[], Any]) -> None:
    del thread.run  # else the thread would hold itself
    _within(load, run)


def _within(
    load: tuple[Any, ...], function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    tokens = [
        (variable, variable.set(value))
        for variable, value in zip(_variables, load, strict=True)
    ]
    try:
        return function(*args, **kwargs)
    finally:
        for variable, token in tokens:
            variable.reset(token)

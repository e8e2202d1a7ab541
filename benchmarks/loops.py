"""
The loops that every contender of `functions` and `stampede` runs, alike.

A contender is a module of `contenders` with `asynchronous` and `synchronous`
(or one of them): decorators that put its cache around a function. `setup`, if
there is one, is awaited first.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from measure import SPENT, quiet

if TYPE_CHECKING:
    from collections.abc import Callable

LOAD = 0.05
"""Seconds that a stampede's function takes."""

ROW = {"id": 1, "name": "Ada Lovelace", "mail": "ada@example.org", "active": True}

_loop = asyncio.new_event_loop()


def perform(contender: str, what: str, count: int) -> Any:
    """
    Do what a worker was asked for.
    """
    _module(contender)
    if what == "stampede":
        return _loop.run_until_complete(_stampede(contender, count))
    if what == "stampede_threads":
        return _threads(contender, count)
    if what.startswith("async"):
        return _loop.run_until_complete(_await_calls(_async(contender, what), count))
    return _call(_sync(contender, what), count)


@cache
def _module(contender: str) -> Any:
    module = importlib.import_module(f"contenders.{contender}")
    if hasattr(module, "setup"):
        _loop.run_until_complete(module.setup())
    return module


@cache
def _async(contender: str, what: str) -> Callable[..., Any]:
    if what == "async_dict":

        async def answer(a: int, limit: int = 10) -> Any:  # noqa: ARG001
            return dict(ROW)

    else:

        async def answer(a: int, limit: int = 10) -> Any:
            return a + limit

    return _module(contender).asynchronous(answer)


@cache
def _sync(contender: str, what: str) -> Callable[..., Any]:
    if what == "sync_dict":

        def answer(a: int, limit: int = 10) -> Any:  # noqa: ARG001
            return dict(ROW)

    else:

        def answer(a: int, limit: int = 10) -> Any:
            return a + limit

    return _module(contender).synchronous(answer)


async def _await_calls(function: Callable[..., Any], count: int) -> float:
    await function(1, limit=10)
    turns = range(count)
    with quiet():
        began = SPENT()
        for _ in turns:
            await function(1, limit=10)
        return SPENT() - began


def _call(function: Callable[..., Any], count: int) -> float:
    function(1, limit=10)
    turns = range(count)
    with quiet():
        began = SPENT()
        for _ in turns:
            function(1, limit=10)
        return SPENT() - began


async def _stampede(contender: str, callers: int) -> int:
    runs = 0

    async def slow(a: int, limit: int = 10) -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(LOAD)
        return a + limit

    cached = _module(contender).asynchronous(slow)
    await asyncio.gather(*(cached(1, limit=10) for _ in range(callers)))
    return runs


def _threads(contender: str, callers: int) -> int:
    runs: list[int] = []
    start = threading.Barrier(callers)

    def slow(a: int, limit: int = 10) -> int:
        runs.append(1)
        time.sleep(LOAD)
        return a + limit

    cached = _module(contender).synchronous(slow)

    def call() -> None:
        start.wait()
        cached(1, limit=10)

    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(call) for _ in range(callers)]:
            done.result()
    return len(runs)

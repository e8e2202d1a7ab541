"""
Third act: a crowd wants an answer that isn't stored, and one SELECT is sent.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from blog import functions

from stage import screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table
    from sqlalchemy.ext.asyncio import AsyncEngine

    from stage.claims import Claims
    from stage.counter import Statements

CROWD = 500


def _tasks(
    loop: asyncio.AbstractEventLoop, engine: AsyncEngine
) -> Callable[[], list[Any]]:
    async def crowd() -> list[Any]:
        await engine.dispose()
        functions.tag_report.invalidate()
        return await asyncio.gather(*(functions.tag_report() for _ in range(CROWD)))

    return lambda: loop.run_until_complete(crowd())


def _threads() -> list[Any]:
    functions.author_report.invalidate()
    start = threading.Barrier(CROWD)

    def one(_: int) -> Any:
        start.wait()
        return functions.author_report()

    with ThreadPoolExecutor(CROWD) as pool:
        return list(pool.map(one, range(CROWD)))


def play(
    console: Console,
    claims: Claims,
    statements: Statements,
    loop: asyncio.AbstractEventLoop,
    engine: AsyncEngine,
) -> None:
    """
    Let the crowd ask, from one event loop and from as many threads.
    """
    screen.title(
        console,
        f"3  {CROWD} callers at once, and nothing is stored",
        "One of them loads, the others wait for it and take what it brought.",
    )
    table = screen.make_table(
        ("callers", False),
        ("answers", True),
        ("different", True),
        ("SELECTs", True),
        ("done in", True),
        ("one SELECT", False),
    )
    for who, ask in (
        (f"{CROWD} tasks, one loop", _tasks(loop, engine)),
        (f"{CROWD} threads", _threads),
    ):
        _row(table, claims, statements, who, ask)
    console.print(table)


def _row(
    table: Table,
    claims: Claims,
    statements: Statements,
    who: str,
    ask: Callable[[], list[Any]],
) -> None:
    began = time.perf_counter()
    answers, sent = statements.during(ask)
    took = time.perf_counter() - began
    different = len({repr(answer) for answer in answers})
    one = claims.check(f"{who}: one SELECT", sent == 1, sent)
    claims.check(f"{who}: one answer for all", len(answers) == CROWD and different == 1)
    table.add_row(
        who,
        str(len(answers)),
        str(different),
        str(sent),
        screen.duration(took),
        screen.verdict(one),
    )

"""
The same steps in a session that is served, and in one that asks the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.orm import sessionmaker

from tests.holes.states import Run, difference, listen
from yokedcache.core.heat import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.databases import Blog
    from yokedcache import YokedCache

WARMTHS = {
    "a miss": 0,
    "the loader": 1,
    "a template": 2,
    "the short way": 3,
    "a sketch": 5,
}
"""How often a statement was asked before it is answered by what."""


def carried_out(
    blog: Blog, maker: Any, told: list[str], steps: Sequence[Callable[[Any], Any]]
) -> Run:
    """
    Do steps in a session of its own, and undo them.
    """
    with maker() as session:
        run = Run(blog, session, told)
        for step in steps:
            run.step(step)
        session.rollback()
    return run


def cool(cache: YokedCache) -> None:
    """
    Have nothing stored, and no table be hot (hole 23) for all that was written.
    """
    cache.sync.clear()
    clock: Any = cache.machine.clock
    clock.advance(LONGEST)


def warm(maker: Any, read: Callable[[Any], Any], times: int) -> None:
    """
    Ask as often as it takes to be answered in a certain way.
    """
    for _ in range(times):
        with maker() as session:
            read(session)


def compare(
    blog: Blog,
    cache: YokedCache,
    read: Callable[[Any], Any],
    programs: Sequence[Sequence[Callable[[Any], Any]]],
    **options: Any,
) -> None:
    """
    Compare what programs see that are answered with what they see uncached.
    """
    plain = sessionmaker(blog.engine, **options)
    maker = blog.attached(cache, **options)
    heard, told = listen(plain), listen(maker)
    for program in programs:
        named = [step.__name__ for step in program]
        expected = carried_out(blog, plain, heard, program)
        for way, times in WARMTHS.items():
            cool(cache)
            warm(maker, read, times)
            run = carried_out(blog, maker, told, program)
            if program[0] is read:
                assert (run.asked[0] == 0) is (times > 0), (named, way)
            for step, mine, theirs in zip(
                named, run.trace, expected.trace, strict=True
            ):
                found = difference(mine, theirs)
                assert found is None, (found, named, step, way)


def cases(
    reads: Sequence[Callable[[Any], Any]], elsewhere: Sequence[Callable[[Any], Any]]
) -> Any:
    """
    Have a test done with each way to read on SQLite, and with some on the servers.
    """
    pairs = [
        *(("sqlite", read) for read in reads),
        *((name, read) for name in ("postgresql", "mariadb") for read in elsewhere),
    ]
    return pytest.mark.parametrize(
        ("blog", "read"),
        pairs,
        indirect=["blog"],
        ids=[f"{name}-{read.__name__}" for name, read in pairs],
    )

"""
What the suite promises of itself is on: blocking calls are seen, warnings are errors.

And what a test leaves to the collector is nothing to the next.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from pathlib import Path

import pytest
from blockbuster import BlockingError
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import yokedcache.errors
from tests.support.leaving import nothing_left
from yokedcache import cache
from yokedcache.sqlalchemy.functions import sessions
from yokedcache.sqlalchemy.transactions.blame import Blame
from yokedcache.sqlalchemy.transactions.fences import Fences, _kept

SOURCE = Path(yokedcache.errors.__file__).parent

left: list[Session] = []
"""Sessions that tests of this file left behind."""


def block_as_if_in(file: Path) -> None:
    code = compile("import time\ntime.sleep(0.001)", str(file), "exec")
    exec(code, {"__name__": "yokedcache.somewhere"})


async def test_blocking_call_of_the_library_in_a_loop_fails() -> None:
    with pytest.raises(BlockingError):
        block_as_if_in(SOURCE / "somewhere.py")


async def test_blocking_call_of_a_user_is_the_users_own() -> None:
    began = time.monotonic()
    block_as_if_in(SOURCE.parent / "app.py")
    assert time.monotonic() > began


def test_blocking_call_in_a_thread_is_fine() -> None:
    async def work() -> None:
        await asyncio.to_thread(block_as_if_in, SOURCE / "somewhere.py")

    asyncio.run(work())


def test_warnings_are_errors() -> None:
    with pytest.raises(DeprecationWarning):
        warnings.warn("old", DeprecationWarning, stacklevel=1)


@pytest.mark.parametrize("turn", [1, 2])
def test_the_default_cache_is_no_earlier_test_s(turn: int) -> None:
    assert cache._default is None, turn
    made = cache.default_cache()
    assert made is cache._default
    made.sync.close()


@pytest.mark.parametrize("turn", [1, 2])
def test_sessions_of_earlier_tests_are_none_that_calls_may_use(turn: int) -> None:
    assert not sessions.in_use(), turn
    left.append(Session())
    sessions.remember(left[-1])
    assert sessions.in_use() == [left[-1]]


def test_a_session_that_is_left_in_a_transaction_fails_its_test() -> None:
    session = Session(create_engine("sqlite://"))
    with pytest.raises(AssertionError, match="a session was left"), nothing_left():
        session.execute(text("SELECT 1"))
    assert not session.in_transaction()


def test_a_cache_that_is_left_open_fails_its_test() -> None:
    with pytest.raises(AssertionError, match="a cache was left"), nothing_left():
        left_open = cache.YokedCache()
    assert left_open.machine.closed


def test_a_lost_commit_that_is_left_does_not_go_on() -> None:
    with nothing_left():
        lost = Fences(("table:users",), Blame(), None)  # type: ignore[arg-type]
        _kept.add(lost)
    assert not lost.up

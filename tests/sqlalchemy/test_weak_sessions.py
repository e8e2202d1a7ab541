"""
Threads share sets of sessions, and none that lives is ever missing.
"""

from __future__ import annotations

import gc
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.orm import Session

from yokedcache.sqlalchemy.functions.weak_sessions import WeakSessions

if TYPE_CHECKING:
    from collections.abc import Iterator

EACH = 1_500


class Garbage:
    """
    What only the collector can free, running code as it does.
    """

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        sum(range(50))


@pytest.fixture
def hurry() -> Iterator[None]:
    """
    Let threads take turns, and garbage be collected, as often as possible.
    """
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(10, 2, 2)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("hurry")
def test_what_lives_is_there_whoever_adds_meanwhile() -> None:
    sessions = WeakSessions()
    kept: list[Session] = []
    faults: list[BaseException] = []

    def add() -> None:
        try:
            for number in range(EACH):
                Garbage()
                session = Session()
                sessions.add(session)
                if number % 7 == 0:
                    kept.append(session)
                if number % 50 == 0:
                    assert session in sessions.alive()
        except BaseException as fault:  # noqa: BLE001 - told below
            faults.append(fault)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert set(kept) <= set(sessions)


def test_those_that_are_gone_are_not_kept() -> None:
    sessions = WeakSessions()
    living = [Session() for _ in range(100)]
    for session in living:
        sessions.add(session)
    assert bool(sessions)
    del living[1:], session
    gc.collect()
    assert sessions.alive() == living
    sessions.clear()
    assert not sessions

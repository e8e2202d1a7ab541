"""
A caller inside an open transaction is not handed what others load (rule 5).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, Table, create_engine, select, update
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import QueuePool

from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 5.0


def open_when_waited_for(cache: YokedCache, gate: threading.Event) -> threading.Thread:
    """
    Open the gate once somebody waits for the flight.
    """
    machine: Any = cache.sync._machine

    def watch() -> None:
        while not any(machine.terminal._waiting.values()):
            time.sleep(0)
        gate.set()

    opener = threading.Thread(target=watch, daemon=True)
    opener.start()
    return opener


def test_who_wrote_does_not_share_a_flight_that_can_not_see_it(
    cache: YokedCache, tmp_path: Path
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}", poolclass=QueuePool)
    numbers = Table("numbers", MetaData(), Column("n", Integer))
    numbers.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(numbers.insert().values(n=1))
    session = scoped_session(sessionmaker(engine))
    read, gate = threading.Event(), threading.Event()

    @cached(cache=cache)
    def number() -> int | None:
        value = session.scalar(select(numbers.c.n))
        if not read.is_set():
            session.rollback()
            read.set()
            assert gate.wait(LIMIT)
        return value

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(number)
        assert read.wait(LIMIT)
        session.execute(update(numbers).values(n=2))
        opener = open_when_waited_for(cache, gate)
        assert number() == 2
        opener.join(LIMIT)
        assert other.result(LIMIT) == 1
        session.rollback()
        pool.submit(session.remove).result(LIMIT)
    assert number() == 1
    session.remove()
    engine.dispose()

"""
The soak sees what it is there to see, and the application holds for a moment at least.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from soak import report, run, vitals
from soak.load import Load, Seen
from soak.report import Phase

if TYPE_CHECKING:
    from tests.services import PostgresDatabase
    from tests.services.redis import RedisServer

FLAT = (100, 200, 200, 200, 200, 200)


def phase(
    seen: Seen,
    *,
    memory: tuple[int, ...] = FLAT,
    stored: tuple[int, ...] = FLAT,
    hits: int = 9,
) -> Phase:
    return Phase("cached", 2.0, seen, memory, stored, hits, loads=1)


def good() -> Seen:
    return Seen(reads=[0.001] * 99 + [0.005], writes=[0.002, 0.002])


def test_nothing_to_complain_about() -> None:
    fine = phase(good())
    assert report.complaints(fine, caches=True) == []
    cells = report.line(fine).split()
    assert cells[:2] == ["cached", "50"]
    assert cells[-1] == "+0.0%"


def test_what_fails_a_run() -> None:
    seen = good()
    seen.stale = 3
    seen.errors["OSError: gone"] = 2
    grows = (100, 100, 200, 200, 300, 300)
    grown = phase(seen, memory=grows, stored=grows, hits=0)
    assert report.complaints(grown, caches=True) == [
        "cached: 2 times OSError: gone",
        "cached: 3 reads older than a write before them",
        "cached: memory grew to 1.50 of what it was",
        "cached: the store grew to 1.50 of what it was",
        "cached: only 0.0% of the reads were hits",
    ]
    assert report.complaints(phase(Seen()), caches=False) == [
        "cached: nothing was tested"
    ]


def test_memory_counts_from_the_second_third() -> None:
    assert vitals.growth([1, 1]) == 1.0
    assert vitals.growth([1, 5, 100, 100, 101, 101]) == pytest.approx(1.01)
    assert vitals.memory(os.getpid()) > 2**20


class Answers:
    """
    Stands for an application that forgets what was written.
    """

    async def handle(self, reader: Any, writer: Any) -> None:
        while line := await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            body = b'{"version": %d}' % (7 if line.startswith(b"POST") else 6)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(head + body)
        writer.close()


async def test_reads_older_than_writes_are_counted() -> None:
    async with await asyncio.start_server(Answers().handle, "127.0.0.1") as server:
        load = Load(server.sockets[0].getsockname()[1], orders=1, writes=0.5, seed=1)
        await load.run(2, lambda: load.seen.stale > 3)
    assert load.seen.errors.total() == 0
    assert len(load.seen.reads) >= load.seen.stale
    assert load.seen.writes


async def test_requests_that_fail_are_counted_by_what_they_say() -> None:
    load = Load(1, orders=1, writes=0.5, seed=1)
    await load.run(1, lambda: load.seen.errors.total() > 2)
    assert all("Connect call failed" in what for what in load.seen.errors)


@pytest.mark.timeout(180)
def test_the_shop_holds(
    postgres_database: PostgresDatabase, redis_server: RedisServer
) -> None:
    database = postgres_database.url("psycopg")
    run.fill(database, 5)
    options = run.parsed(
        ["--seconds", "2", "--workers", "2", "--orders", "5", "--writes", "0.3"]
    )
    soaked = run.soaked("cached", database, redis_server.url(), redis_server, options)
    found = asyncio.run(soaked)
    assert found.seen.errors == {}
    assert found.seen.stale == 0
    assert found.seen.reads
    assert found.seen.writes

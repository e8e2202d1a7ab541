"""
`make soak`: four workers under load, with the cache and then without.

Ends with 1 if a request failed, a read was older than a write before it, or memory grew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, insert

from soak import models, report, vitals
from soak.load import Connection, Load
from soak.report import Phase
from tests.services import Postgres
from tests.services.processes import free_port
from tests.services.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LINES = 5
"""Of each order."""
START_LIMIT = 60.0
SAMPLES = 120
"""How often memory is looked at in a phase."""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run what the command line says.
    """
    options = parsed(arguments)
    print(f"seed {options.seed}\n\n{report.head()}", flush=True)
    found: list[str] = []
    with Postgres().running() as postgres, RedisServer.running() as redis:
        database = postgres.create_database().url("psycopg")
        fill(database, options.orders)
        for title, store in (("yokedcache", redis.url()), ("no cache", "")):
            phase = asyncio.run(soaked(title, database, store, redis, options))
            print(report.line(phase), flush=True)
            found += report.complaints(phase, caches=bool(store))
    print(*found, sep="\n")
    print("soak:", "FAILED" if found else "passed")
    return 1 if found else 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=600.0, help="of each of the two")
    add("--workers", type=int, default=4)
    add("--clients", type=int, default=16)
    add("--orders", type=int, default=50)
    add("--writes", type=float, default=0.002, help="share of writes, from 0 to 1")
    add("--seed", type=int, default=random.randrange(10**6))
    return parser.parse_args(arguments)


def fill(database: str, orders: int) -> None:
    """
    Make the tables, and orders numbered from 1.
    """
    engine = create_engine(database)
    models.Base.metadata.create_all(engine)
    numbers = range(1, orders + 1)
    with engine.begin() as connection:
        connection.execute(
            insert(models.Order),
            [{"id": n, "version": 0, "customer": f"customer {n}"} for n in numbers],
        )
        connection.execute(
            insert(models.Line),
            [
                {"order_id": n, "item": f"item {part}", "amount": part}
                for n in numbers
                for part in range(LINES)
            ],
        )
    engine.dispose()


async def soaked(
    title: str,
    database: str,
    store: str,
    redis: RedisServer,
    options: argparse.Namespace,
) -> Phase:
    """
    Have one application asked for its time.
    """
    with serving(database, store, options.workers) as (server, port):
        await _ready(port)
        load = Load(
            port, orders=options.orders, writes=options.writes, seed=options.seed
        )
        began = time.monotonic()
        ends = began + options.seconds
        pause = options.seconds / SAMPLES
        sampling = asyncio.create_task(_sampled(server.pid, redis, ends, pause))
        await load.run(options.clients, lambda: time.monotonic() >= ends)
        seconds = time.monotonic() - began
        counts = await _counts(port, options.workers)
        return Phase(title, seconds, load.seen, *await sampling, **counts)


@contextlib.contextmanager
def serving(
    database: str, store: str, workers: int
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """
    Run the application by uvicorn.
    """
    port = free_port()
    told = {"SOAK_DATABASE": database, "SOAK_STORE": store}
    command = [sys.executable, "-m", "uvicorn", "soak.app:app", "--port", str(port)]
    more = ["--workers", str(workers), "--log-level", "warning", "--no-access-log"]
    server = subprocess.Popen([*command, *more], env={**os.environ, **told})
    try:
        yield server, port
    finally:
        server.terminate()
        server.wait(30)


async def _ready(port: int) -> None:
    ends = time.monotonic() + START_LIMIT
    while True:
        try:
            await _count(port)
        except OSError:
            if time.monotonic() > ends:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _counts(port: int, workers: int) -> dict[str, int]:
    """
    Add up what all workers have counted.
    """
    found: dict[int, dict[str, int]] = {}
    ends = time.monotonic() + START_LIMIT
    while len(found) < workers:
        if time.monotonic() > ends:
            raise TimeoutError(f"{len(found)} of {workers} workers told their counts")
        counts = await _count(port)
        found[counts.pop("worker")] = counts
    return {
        name: sum(counts[name] for counts in found.values())
        for name in ("hits", "loads")
    }


async def _count(port: int) -> dict[str, Any]:
    connection = Connection(port)
    counts: dict[str, Any] = await connection.ask("GET", "/counts")
    await connection.close()
    return counts


async def _sampled(
    parent: int, redis: RedisServer, ends: float, pause: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    samples = []
    with redis.client() as client:
        while True:
            stored = int(client.info("memory")["used_memory"])
            samples.append((vitals.memory(parent), stored))
            if time.monotonic() >= ends:
                break
            await asyncio.sleep(pause)
    memory, stored_at = zip(*samples, strict=True)
    return memory, stored_at


if __name__ == "__main__":
    sys.exit(main())

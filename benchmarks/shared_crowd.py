"""
One of several processes whose tasks all want the same cold key at once.

`python shared_crowd.py URL PROCESSES CALLERS`; how often the function ran is counted in
Redis, under `calls`.
"""

from __future__ import annotations

import asyncio
import sys

import redis

from yokedcache import YokedCache, cached

url, processes, callers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cache = YokedCache(url, store_timeout=5.0, lease=2.0)
counter = redis.Redis.from_url(url)


@cached(ttl=60)
async def slow(number: int) -> int:
    counter.incr("calls")
    await asyncio.sleep(0.3)
    return number


async def main() -> None:
    while not cache.stats().total.hits:  # a new server isn't trusted at once
        await cache.set("settled", 1)
        await cache.get("settled")
    counter.incr("ready")
    # the others are processes
    while int(counter.get("ready") or 0) < processes:  # type: ignore[arg-type]  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    await asyncio.gather(*(slow(7) for _ in range(callers)))
    await cache.close()


asyncio.run(main())

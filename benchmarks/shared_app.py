"""
What an application of the shared store looks like: imported once `YOKEDCACHE_URL` is set.
"""

from __future__ import annotations

from typing import Final

from redis_reads import ROW

from yokedcache import YokedCache, cached

LEASE: Final = 0.1

cache = YokedCache(lease=LEASE, ttl=3600)
near = YokedCache(lease=LEASE, ttl=3600, near={"max_staleness": 60})
memory = YokedCache("memory://", ttl=3600)


@cached(ttl=3600, tags=["users"])
async def user(number: int) -> dict[str, object]:
    return {**ROW, "id": number}


@cached(ttl=3600, tags=["users"])
def user_here(number: int) -> dict[str, object]:
    return {**ROW, "id": number}


@cached(cache=near, ttl=3600, tags=["users"])
async def user_near(number: int) -> dict[str, object]:
    return {**ROW, "id": number}


@cached(cache=memory, ttl=3600, tags=["users"])
async def user_in_memory(number: int) -> dict[str, object]:
    return {**ROW, "id": number}

"""
What an application of the shared store looks like: imported once `YOKEDCACHE_URL` is set.
"""

from __future__ import annotations

from typing import Final

from redis_reads import ROW

from yokedcache import YokedCache, cached

LEASE: Final = 0.1

cache = YokedCache(lease=LEASE, ttl=3600)


@cached(ttl=3600, tags=["users"])
async def user(number: int) -> dict[str, object]:
    return {**ROW, "id": number}


@cached(ttl=3600, tags=["users"])
def user_here(number: int) -> dict[str, object]:
    return {**ROW, "id": number}

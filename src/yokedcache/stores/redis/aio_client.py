"""
How redis-py's clients for an event loop are made.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from yokedcache.stores.redis import sync
from yokedcache.stores.redis.incarnation import INFO, Link, read_info


async def learn(connection: Any) -> None:
    """
    Learn whom a new connection leads to; redis-py calls it instead of `on_connect`.
    """
    connection.yokedcache = None
    try:
        await connection.on_connect()
        looked = time.monotonic()
        await connection.send_packed_command([INFO], check_health=False)
        server = read_info(await connection.read_response(disable_decoding=True))
    except BaseException:
        # left open it would be taken from the pool as one that is known
        await connection.disconnect(nowait=True)
        raise
    connection.yokedcache = Link(server, looked, os.urandom)


PLAIN: Final[dict[str, Any]] = {**sync.PLAIN, "retry": Retry(NoBackoff(), 0)}
"""What every client is made with, of sentinels as well: here TLS disturbs nobody."""

LIMITS: Final[dict[str, Any]] = {
    # one for each of a crowd would all be opened at once, and none of them in time
    "max_connections": 8,
}

OPTIONS: Final[dict[str, Any]] = {
    **PLAIN,
    "redis_connect_func": learn,
    "decode_responses": False,
    **LIMITS,
}
"""What a client of ours is made with."""


def connect(url: str, **options: Any) -> redis.asyncio.Redis:
    """
    Make a client for one server, which connects when it is first used.
    """
    return redis.asyncio.Redis.from_url(url, **{**OPTIONS, **options})

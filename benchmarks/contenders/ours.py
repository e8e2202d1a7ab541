"""
yokedcache with everything on.

That is TTL, statistics, type-exact keys, isolation, single flight, and
SQLAlchemy tracked for writes.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy.orm  # noqa: F401 - its presence is what starts the tracking

from yokedcache import YokedCache, cached

_cache = YokedCache("memory://")


def asynchronous(function: Any) -> Any:
    return cached(cache=_cache, ttl=300)(function)


synchronous = asynchronous

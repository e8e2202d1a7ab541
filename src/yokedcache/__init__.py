"""
Caches database-driven applications: never older than a commit that returned.

`YokedCache` is the cache, `cached` the decorator, `cached_dependency` the
wrapper around what yields sessions. Everything else has its own door:
`yokedcache.sqlalchemy`, `yokedcache.errors`, `yokedcache.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.cache import YokedCache
from yokedcache.core.entry import MISS
from yokedcache.decorators import cached

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.dependency import cached_dependency

__all__ = ["MISS", "YokedCache", "cached", "cached_dependency"]
__version__ = "0.1.0.dev0"


def __getattr__(name: str) -> Any:
    if name == "cached_dependency":
        from yokedcache.sqlalchemy.dependency import cached_dependency

        return cached_dependency
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)

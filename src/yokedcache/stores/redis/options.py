"""
Whether the client library takes what a URL tells it.

It says so itself, but not before it connects: by then a query, or a commit, is waiting.
"""

from __future__ import annotations

import re
from typing import Any, Final

import redis

from yokedcache.errors import SettingsError

_UNKNOWN: Final = re.compile(r"unexpected keyword argument '(\w+)'")
_OURS: Final = ("decode_responses", "protocol")
"""What answers look like: the store reads them as it asked for them."""


def check(url: str) -> None:
    """
    Refuse a URL of which no connection can be made, without making one.

    Raises:
        SettingsError: an option is unknown, has a value that can't be, or isn't to be
            chosen; said without what is secret in the URL.
    """
    pool_of: Any = redis.ConnectionPool.from_url
    try:
        # else it looks up its own version, in files
        pool = pool_of(url, driver_info=None)
        told = pool.connection_kwargs
        chosen = next((name for name in _OURS if name in told), None)
        if chosen is None:
            pool.connection_class(**told)
            return
    except (redis.RedisError, TypeError, ValueError) as error:
        unknown = _UNKNOWN.search(str(error))
        if unknown is None:
            msg = f"the client library can't use the store's URL: {error}"
            raise SettingsError(msg) from error
        hint = (
            "it is neither a setting of a cache nor an option of redis-py's connections"
        )
        if unknown[1].startswith("ssl_"):
            hint = "it is about TLS, which URLs with rediss:// speak"
        msg = f"unknown option {unknown[1]!r} of the store's URL: {hint}"
        raise SettingsError(msg, option=unknown[1]) from error
    msg = f"option {chosen!r} of the store's URL isn't to be chosen: leave it out"
    raise SettingsError(msg, option=chosen)

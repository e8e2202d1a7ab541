"""
Whether the client library takes what a URL tells it.

It says so itself, but not before it connects: by then a query, or a commit, is waiting.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import redis
import redis.asyncio

from yokedcache.errors import SettingsError

_UNKNOWN: Final = re.compile(r"unexpected keyword argument '(\w+)'")
_OURS: Final = frozenset({
    "cache_config", "command_packer", "credential_provider", "decode_responses",
    "driver_info", "encoder_class", "maint_notifications_config", "parser_class",
    "redis_connect_func", "retry",
})  # fmt: skip
"""What the store itself decides, or no text can be."""

_PROTOCOL: Final = "2"
"""In which answers are what the store reads."""


def check(url: str) -> None:
    """
    Refuse a URL of which no connection can be made, without making one.

    Raises:
        SettingsError: an option is unknown, has a value that can't be, or isn't to be
            chosen; said without what is secret in the URL.
    """
    told = dict(parse_qsl(urlsplit(url).query))
    chosen = next((name for name in told if name in _OURS), None)
    if told.get("protocol", _PROTOCOL) != _PROTOCOL:
        chosen = "protocol"
    if chosen is not None:
        msg = f"option {chosen!r} of the store's URL isn't to be chosen: leave it out"
        raise SettingsError(msg, option=chosen)
    pools: Any = (redis.ConnectionPool, redis.asyncio.ConnectionPool)
    try:
        for kind in pools:
            # else it looks up its own version, in files
            pool = kind.from_url(url, driver_info=None)
            pool.connection_class(**pool.connection_kwargs)
    except (redis.RedisError, AttributeError, TypeError, ValueError) as error:
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

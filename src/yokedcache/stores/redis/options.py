"""
Whether the client library takes what a URL tells it.

It says so itself, but not before it connects: by then a query, or a commit, is waiting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio

from yokedcache.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

_UNKNOWN: Final = re.compile(r"unexpected keyword argument '(\w+)'")
_OURS: Final = frozenset({
    "cache_config", "command_packer", "credential_provider", "decode_responses",
    "driver_info", "encoder_class", "event_dispatcher", "himport_registry",
    "legacy_responses", "maint_notifications_config", "maintenance_state",
    "parser_class", "redis_connect_func", "retry", "retry_on_error",
    "socket_keepalive_options", "socket_type", "ssl_ocsp_context",
})  # fmt: skip
"""What the store itself decides, or no text can be."""

_LONGEST: Final = 10**9
_SECONDS: Final = f"a number of seconds above 0, and {_LONGEST} at most"
_COUNT: Final = "a whole number from 0"
_WANTED: Final[dict[str, str]] = {
    "socket_timeout": _SECONDS,
    "socket_connect_timeout": _SECONDS,
    "db": _COUNT,
    "health_check_interval": _COUNT,
    "max_connections": _COUNT,
    "socket_read_size": "a whole number from 1",
}
_FINE: Final[dict[str, Callable[[str], bool]]] = {
    _SECONDS: lambda text: 0 < float(text) <= _LONGEST,
    _COUNT: lambda text: int(text) >= 0,
    "a whole number from 1": lambda text: int(text) >= 1,
}
"""What values may be, by how that is said; more the client library doesn't look at."""

_PROTOCOL: Final = "2"
"""In which answers are what the store reads."""


def check(url: str) -> None:
    """
    Refuse a URL of which no connection can be made, without making one.

    Raises:
        SettingsError: an option is unknown, has a value that can't be, or isn't to be
            chosen.
    """
    told = options_of(url)
    chosen = next((name for name in told if name in _OURS), None)
    if told.get("protocol", _PROTOCOL) != _PROTOCOL:
        chosen = "protocol"
    if chosen is not None:
        msg = f"option {chosen!r} of the store's URL isn't to be chosen: leave it out"
        raise SettingsError(msg, option=chosen)
    for name in set(_WANTED).intersection(told):
        _check_number(name, told[name])
    _check_connections(url)


def options_of(url: str) -> dict[str, str]:
    """
    Give a URL's options as the client library takes them: the first of each name.
    """
    return {name: texts[0] for name, texts in parse_qs(urlsplit(url).query).items()}


def _check_number(name: str, text: str) -> None:
    wanted = _WANTED[name]
    try:
        fine = _FINE[wanted](text)
    except ValueError:
        fine = False
    if not fine:
        msg = f"option {name}={text!r} of the store's URL has to be {wanted}"
        raise SettingsError(msg, option=name, value=text)


def _check_connections(url: str) -> None:
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

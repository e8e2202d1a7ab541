"""
What a client library raises, as our own error: asked what, of whom, and what went wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import redis.exceptions as client

from yokedcache.errors import StoreError
from yokedcache.stores.redis.wire import (
    ASK,
    MOVED,
    TRY_AGAIN,
    Refusal,
    RefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODES: Final[dict[type[Exception], str]] = {
    client.NoScriptError: "NOSCRIPT",
    client.ReadOnlyError: "READONLY",
    client.OutOfMemoryError: "OOM",
    client.NoPermissionError: "NOPERM",
    client.MovedError: MOVED,
    client.AskError: ASK,
    client.TryAgainError: TRY_AGAIN,
    client.ClusterDownError: "CLUSTERDOWN",
}

_IN_A_SCRIPT: Final = re.compile(r"Error running script .*: -([A-Z]+) ")
"""How Redis before 7.0 says what stopped a script."""

CAUGHT: Final = (client.RedisError, OSError, EOFError)
"""What means that the server, or the way to it, is at fault."""


def refusal(error: client.ResponseError) -> Refusal:
    """
    Make a value of what a server answered instead.
    """
    text = str(error)
    if stopped := _IN_A_SCRIPT.match(text):
        code = stopped[1]
    else:
        code = _CODES.get(type(error)) or text.partition(" ")[0]
    return Refusal(code, text, error)


def store_error(error: BaseException, asked: str, address: str) -> StoreError:
    """
    Say what was asked of whom, and what went wrong; the client's own error is its cause.
    """
    made = _store_error(error, asked, address)
    made.__cause__ = error.refusal.error if isinstance(error, RefusedError) else error
    return made


def _store_error(error: BaseException, asked: str, address: str) -> StoreError:
    facts = {"asked": asked, "address": address}
    if isinstance(error, RefusedError):
        refused = error.refusal
        facts["refusal"] = refused.code
        return StoreError(f"{address} refused to {asked}: {refused.text}", **facts)
    if isinstance(error, StoreError):
        message = f"{address} can't {asked}: {error.message}"
        return StoreError(message, **(facts | error.facts))
    if isinstance(error, client.TimeoutError | TimeoutError):
        return StoreError(f"{address} didn't {asked} in time", **facts)
    return StoreError(f"{address} can't be reached to {asked}: {error}", **facts)


def address_of(facts: Mapping[str, Any]) -> str:
    """
    Name a server by what a connection or a pool was made with, without secrets.
    """
    if path := facts.get("path"):
        return f"unix:{path}"
    return f"{facts.get('host', 'localhost')}:{facts.get('port', 6379)}"


def whereabouts(connection: Any, pool: Any) -> str:
    """
    Name whom a connection leads to, or where its pool's would lead.
    """
    if service := getattr(pool, "service_name", None):
        address = pool.master_address
        at = f" at {address[0]}:{address[1]}" if address else ""
        return f"the primary of {service!r}{at}"
    known = vars(connection) if connection is not None else {}
    facts = known if "host" in known or "path" in known else {}
    return address_of(facts or pool.connection_kwargs)

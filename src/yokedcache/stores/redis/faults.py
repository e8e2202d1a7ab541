"""
What a client library raises, as our own error: asked what, of whom, and what went wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio
import redis.exceptions as client

from yokedcache.errors import StoreError
from yokedcache.stores.frames import without_frames
from yokedcache.stores.redis.lua import command_at
from yokedcache.stores.redis.wire import (
    ASK,
    CROSS_SLOT,
    FOREIGN,
    MOVED,
    NO_AUTH,
    NO_PERMISSION,
    NO_SCRIPTS,
    STRANGER,
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
    client.NoPermissionError: NO_PERMISSION,
    client.MovedError: MOVED,
    client.AskError: ASK,
    client.TryAgainError: TRY_AGAIN,
    client.ClusterDownError: "CLUSTERDOWN",
    client.ClusterCrossSlotError: CROSS_SLOT,
}

_IN_A_SCRIPT: Final = re.compile(r"Error running script .*: -([A-Z]+) ")
"""How Redis before 7.0 says what stopped a script."""

_BARRED: Final = re.compile(
    r"ACL failure in script|The user executing the script can't"
)
"""How a script ends that may not do something: Redis before 8 doesn't say what."""

_PLACE: Final = re.compile(r"([0-9a-f]{40}).*?@user_script:(\d+)")
"""Where it was then: the script, and the line."""

_NO_SCRIPTS: Final = re.compile(
    r"(unknown|unsupported|disabled|not supported|not allowed).{0,40}\beval"
    r"|^[^,]{0,20}\beval(sha)?\b.{0,40}(unknown|unsupported|disabled|not supported|not allowed)",
    re.IGNORECASE,
)
"""How those speak of EVAL that don't have it: some proxies, and servers set so."""

_OF_A_CLUSTER: Final = "it is a node of a Cluster, which redis+cluster:// is for"
_WAYS_OUT: Final = {
    NO_AUTH: "the URL names no password: redis://user:password@host",
    NO_SCRIPTS: (
        "nothing can be kept without Lua scripts: the URL has to lead to a server, or by "
        "a proxy, that runs EVAL and EVALSHA"
    ),
    MOVED: _OF_A_CLUSTER,
    CROSS_SLOT: _OF_A_CLUSTER,
}
"""What to do about a refusal of which nothing else has to be known."""

_ARGUMENTS: Final = re.compile(r",? with args beginning with: .*", re.DOTALL)
"""What of an unknown command is another each time."""

_TRACE: Final = re.compile(r" script: ([0-9a-f]{40}, )?on @user_script:\d+\.?$")
_COMMAND: Final = re.compile(r"run the '([\w|]+)' command")
_WHOLE: Final = {"cluster": "cluster|slots", "sentinel": "sentinel|masters"}
"""What Redis before 7.0 names without its second word."""

_NO_TLS: Final = re.compile(r"\[SSL: (WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE)\]")

_LATE: Final = (client.TimeoutError, TimeoutError)
_CLOSED: Final = "Connection closed by server"
_GREETING: Final = "Error while reading"
_ALERT: Final = r"\x15"
"""How TLS begins to complain, as both parsers of the client library show it."""

_STRANGE: Final = client.InvalidResponse
_OUTS: Final = (
    (
        "DB index is out of range",
        "the server has fewer databases than the URL's number asks for",
    ),
    (
        "SELECT is not allowed in cluster",
        _OF_A_CLUSTER,
    ),
    (
        "unknown command",
        "the server has it switched off or renamed, or is none that will do",
    ),
    (
        "max number of clients",
        "others have all the connections that its `maxclients` allows: raise it there",
    ),
)
"""What to do, by what is in a server's words."""

CAUGHT: Final = (client.RedisError, OSError, EOFError)
"""What means that the server, or the way to it, is at fault."""


def refusal(error: client.ResponseError | client.AuthenticationError) -> Refusal:
    """
    Make a value of what a server answered instead.
    """
    without_frames(error)  # those have the answers, among which the value will be
    text = str(error)
    if isinstance(error, client.AuthenticationError):
        code = NO_AUTH if "required" in text else STRANGER
    elif stopped := _IN_A_SCRIPT.match(text):
        code = stopped[1]
    elif _BARRED.search(text):
        code = NO_PERMISSION
    elif _NO_SCRIPTS.search(_ARGUMENTS.sub("", text)) and type(error) not in _CODES:
        code = NO_SCRIPTS
    else:
        code = _CODES.get(type(error)) or text.partition(" ")[0]
    return Refusal(code, text, error)


def store_error(
    error: BaseException, asked: str, address: str, *, opens: Any = None
) -> StoreError:
    """
    Say what was asked of whom, and what went wrong; the client's own error is its cause.

    `opens` is the pool that was to open a connection for it.
    """
    made = _store_error(error, asked, address, opens)
    made.__cause__ = error.refusal.error if isinstance(error, RefusedError) else error
    return made


def _store_error(
    error: BaseException, asked: str, address: str, opens: Any
) -> StoreError:
    facts: dict[str, Any] = {"asked": asked, "address": address}
    if isinstance(error, client.ResponseError | client.AuthenticationError):
        facts["opening"] = True
        error = RefusedError(refusal(error))
    if isinstance(error, RefusedError):
        refused = error.refusal
        facts["refusal"] = refused.code
        if out := _way_out(refused):
            facts["way_out"] = out
        message = f"{address} refused to {asked}: {said(refused)}{_and(out)}"
        return StoreError(message, **facts)
    if isinstance(error, StoreError):
        out = _and(_to_primary(error.facts, address))
        message = f"{address} can't {asked}: {error.message}{out}"
        return StoreError(message, **(facts | error.facts))
    out = "" if opens is None else _and(_other_scheme(error, tls=_has_tls(opens)))
    if isinstance(error, _LATE):
        return StoreError(f"{address} didn't {asked} in time{out}", **facts)
    if isinstance(error, _STRANGE):
        message = f"{address} can't {asked}: {FOREIGN} ({error!s:.100}){out}"
        return StoreError(message, **facts)
    return StoreError(f"{address} can't be reached to {asked}: {error}{out}", **facts)


def said(refused: Refusal) -> str:
    """
    Give what a server said, in its own words, as far as they are of use.
    """
    if refused.code in {MOVED, ASK}:  # which the client library leaves out
        return f"{refused.code} {refused.text}"
    if refused.code == NO_PERMISSION:
        return _TRACE.sub("", refused.text)
    return _ARGUMENTS.sub("", refused.text).rstrip(".")


def way_out(error: BaseException, *, tls: bool) -> str:
    """
    Say what to do about an error of a connection that was just opened; maybe nothing.
    """
    if isinstance(error, client.ResponseError | client.AuthenticationError):
        return _way_out(refusal(error))
    return _other_scheme(error, tls=tls)


def _way_out(refused: Refusal) -> str:
    code, text = refused.code, refused.text
    if code == NO_PERMISSION:
        name = _barred(text)
        lacking = f"`+{name}`" if name else "`~prefix:*`"
        return (
            f"the user's ACL lacks {lacking}: `ACL SETUSER`, see docs/shared-store.md"
        )
    if code == STRANGER and "without any password" in text:
        return "the URL names a password, and the server wants none"
    if code == STRANGER:
        return (
            "the URL's user or password is another than the server's; in a URL, "
            "characters such as @ : / # % are written %40 and so on"
        )
    return _WAYS_OUT.get(code) or _by_words(text)


def _barred(text: str) -> str | None:
    """
    Name the command that a user may not run, if that is what is wrong.
    """
    if named := _COMMAND.search(text):
        return _WHOLE.get(named[1], named[1])
    if "access" not in text and (place := _PLACE.search(text)):
        return command_at(place[1], int(place[2]))
    return None


def _other_scheme(error: BaseException, *, tls: bool) -> str:
    """
    Say that TLS may be expected where there is none, or the other way round.
    """
    text = str(error)
    if tls and (isinstance(error, _LATE) or _NO_TLS.search(text)):
        return "if that port speaks no TLS, the URL begins with redis, not rediss"
    hung_up = isinstance(error.__context__, ConnectionError) and _GREETING in text
    alert = isinstance(error, client.InvalidResponse) and _ALERT in text
    if not tls and (hung_up or _CLOSED in text or alert):
        return "if that port speaks TLS, the URL begins with rediss, not redis"
    if isinstance(error, _STRANGE):
        return "the URL's scheme, host or port may be another's"
    return _by_words(text)


def _by_words(text: str) -> str:
    return next((out for words, out in _OUTS if words in text), "")


def _to_primary(facts: Mapping[str, Any], address: str) -> str:
    """
    Say where a replica's primary is, unless somebody else knows: sentinels, or a Cluster.
    """
    alone = facts.get("mode") == "standalone" and not address.startswith("the primary")
    if not (alone and facts.get("role") == "slave"):
        return ""
    return (
        f"its primary, which the URL has to name, is {facts['primary']}; where that "
        "changes, redis+sentinel:// finds it by itself"
    )


def _and(out: str) -> str:
    return out and f"; {out}"


def _has_tls(pool: Any) -> bool:
    kinds = (redis.SSLConnection, redis.asyncio.SSLConnection)
    return issubclass(pool.connection_class, kinds)


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

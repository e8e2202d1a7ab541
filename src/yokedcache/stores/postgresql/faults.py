"""
What libpq and the server say, as our own error: asked what, of whom, and what is wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import DiagnosticField

from yokedcache.errors import SettingsError, StoreError
from yokedcache.stores.addresses import LAST_PORT
from yokedcache.stores.urls import read_url

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

CAUGHT: Final = (psycopg.Error, OSError)
"""What means that the server, or the way to it, is at fault."""

UNMADE: Final = frozenset({"3F000", "42883", "42P01", "42704"})
"""There is no such schema, function, table or type: it is to be made."""

CAREFUL: Final = frozenset({"YC001", "25006"})
"""The role's own transactions are not what a change needs."""

_IN_TIME: Final = frozenset({"55P03", "57014"})
_FATAL: Final = frozenset({b"FATAL", b"PANIC"})
_FORBIDDEN: Final = "42501"
_READ_ONLY: Final = "25006"
_NO_FEATURE: Final = "0A000"
"""That of a standby, which has no tables like ours."""

_UNMET: Final = (
    "; nothing has answered there yet as PostgreSQL does: the URL's scheme, host or "
    "port may be another's"
)

_STRANGE: Final = re.compile(
    "SSL negotiation|SSL exchange|expected authentication request|"
    "closed the connection unexpectedly"
)
"""How libpq says that nobody speaks PostgreSQL's protocol there."""

_OUTS: Final = (
    (
        re.compile('database ".*" does not exist'),
        "CREATE DATABASE makes it; else let the URL's path name one that is there",
    ),
    (
        re.compile('role ".*" does not exist'),
        "let the URL name one that is there: postgresql://role:password@host/database",
    ),
)
"""What to do, by what a server says that speaks English when somebody connects."""


class RefusedError(Exception):
    """
    The server answered with an error.
    """

    def __init__(self, result: PGresult) -> None:
        self.code = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        said = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
        self.text = said.decode("utf-8", "replace")
        self.ended = result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED) in _FATAL
        """Whether the session is over: the server is stopped, or has enough of it."""
        super().__init__(self.text)


def check_url(url: str) -> dict[str, Any]:
    """
    Give what a URL says, as libpq reads it.

    Raises:
        SettingsError: it can't be read; said without what is secret in it.
    """
    return read_url(url, _read)


def _read(url: str) -> dict[str, Any]:
    try:
        facts = conninfo_to_dict(url)
    except psycopg.Error as error:
        said = str(error).strip()
        raise SettingsError(f"a URL of PostgreSQL that can't be read: {said}") from None
    for port in filter(None, str(facts.get("port", "")).split(",")):
        if not port.isdecimal() or not 0 < int(port) <= LAST_PORT:
            msg = f"{port!r} in the URL is no port from 1 to {LAST_PORT}"
            raise SettingsError(msg, port=port)
    return facts


def address_of(facts: dict[str, Any]) -> str:
    """
    Name a database by what a URL says, without secrets.
    """
    hosts = str(facts.get("host") or facts.get("hostaddr") or "localhost").split(",")
    ports = str(facts.get("port") or 5432).split(",")
    pairs = [
        f"{host}:{ports[min(at, len(ports) - 1)]}" for at, host in enumerate(hosts)
    ]
    return f"{','.join(pairs)}/{facts.get('dbname') or ''}"


def store_error(
    error: BaseException, asked: str, address: str, schema: str, *, met: bool
) -> StoreError:
    """
    Say what was asked of whom, and what went wrong.

    `met` is whether anybody has ever answered there as PostgreSQL does.
    """
    facts = {"asked": asked, "address": address}
    if isinstance(error, StoreError):
        message = f"{address} can't {asked}: {error.message}"
        return StoreError(message, **(facts | error.facts))
    if isinstance(error, RefusedError):
        if error.code in _IN_TIME:
            return StoreError(
                f"{address} didn't {asked} in time: {error.text}", **facts
            )
        facts["refusal"] = "NOPERM" if error.code == _FORBIDDEN else error.code
        said = error.text + _way_out(error.code, schema)
        return StoreError(f"{address} refused to {asked}: {said}", **facts)
    if isinstance(error, TimeoutError):
        out = "" if met else _UNMET
        return StoreError(f"{address} didn't {asked} in time{out}", **facts)
    said = str(error).strip()
    out = next((f"; {out}" for words, out in _OUTS if words.search(said)), "")
    if not met and _STRANGE.search(said):
        out = _UNMET
    return StoreError(f"{address} can't be reached to {asked}: {said}{out}", **facts)


def _way_out(code: str, schema: str) -> str:
    if code == _FORBIDDEN:
        return (
            "; let somebody who may do this once, for the role that the URL names: "
            f"CREATE SCHEMA {schema} AUTHORIZATION role; if the schema was made by "
            f"another role: GRANT USAGE ON SCHEMA {schema} TO role; GRANT ALL ON ALL "
            f"TABLES IN SCHEMA {schema} TO role; GRANT ALL ON ALL SEQUENCES IN SCHEMA "
            f"{schema} TO role"
        )
    if code in {_READ_ONLY, _NO_FEATURE}:
        return "; it has to be a primary: see target_session_attrs=read-write"
    if code in UNMADE:
        return f"; the cache's schema is not whole: DROP SCHEMA {schema} CASCADE"
    return ""

"""
The way to a store, as its URL says it: one server, a Sentinel service, a Cluster.

    redis://user:password@host:port/database?...
    redis+sentinel://user:password@host:port,host:port/service/database?...
    redis+cluster://user:password@host:port,host:port?...

Options of the URL are the client library's, and hold for the servers. What begins with
`sentinel_` is for the sentinels, which have users of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from yokedcache.errors import SettingsError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

Address = tuple[str, int]

SENTINEL: Final = "redis+sentinel"
SENTINEL_PORT: Final = 26379
CLUSTER: Final = "redis+cluster"
CLUSTER_PORT: Final = 6379

_FOR_SENTINELS: Final = "sentinel_"
_CREDENTIALS: Final = ("username", "password")
_LAST_PORT: Final = 65535


class Way:
    """
    To whom a store's client connects.

    `url` leads to one server, or to none in particular and says how to connect to each.
    """

    __slots__ = ("cluster", "credentials", "hosts", "service", "url")

    def __init__(
        self,
        url: str,
        hosts: tuple[Address, ...] = (),
        service: str | None = None,
        credentials: dict[str, str] | None = None,
        *,
        cluster: bool = False,
    ) -> None:
        self.url = url
        self.hosts = hosts
        self.service = service
        self.cluster = cluster
        self.credentials = credentials or {}
        """What the sentinels want to be told."""


def read_way(url: str) -> Way:
    """
    Read a store's URL.

    Raises:
        SettingsError: it can't be meant; said without what is secret in it.
    """
    parts = urlsplit(url)
    if parts.scheme == SENTINEL:
        return _sentinel(parts)
    if parts.scheme == CLUSTER:
        return _cluster(parts)
    return Way(url)


def _sentinel(parts: SplitResult) -> Way:
    form = f"{SENTINEL}://host:{SENTINEL_PORT},host:{SENTINEL_PORT}/service/0"
    hosts = _hosts(parts, SENTINEL_PORT, form)
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        msg = f"the URL names no service that the sentinels watch: {form}"
        raise SettingsError(msg, form=form)
    if database and not database.isdecimal():
        msg = f"the URL's database is {database!r}, and has to be a number: {form}"
        raise SettingsError(msg, form=form)
    told = parse_qsl(parts.query, keep_blank_values=True)
    credentials = {
        name.removeprefix(_FOR_SENTINELS): text
        for name, text in told
        if name.startswith(_FOR_SENTINELS)
    }
    for name in credentials:
        if name not in _CREDENTIALS:
            msg = (
                f"unknown option {_FOR_SENTINELS + name!r} of the URL; the sentinels "
                "are told sentinel_username and sentinel_password"
            )
            raise SettingsError(msg, option=_FOR_SENTINELS + name)
    theirs = [pair for pair in told if not pair[0].startswith(_FOR_SENTINELS)]
    url = _common(parts, theirs, database)
    return Way(url, hosts, unquote(service), credentials)


def _cluster(parts: SplitResult) -> Way:
    form = f"{CLUSTER}://host:{CLUSTER_PORT},host:{CLUSTER_PORT}"
    hosts = _hosts(parts, CLUSTER_PORT, form)
    told = parse_qsl(parts.query, keep_blank_values=True)
    if parts.path.strip("/") not in ("", "0") or "db" in dict(told):
        msg = f"a Cluster has one database, so the URL names none: {form}"
        raise SettingsError(msg, form=form)
    return Way(_common(parts, told), hosts, cluster=True)


def _common(
    parts: SplitResult, options: list[tuple[str, str]], database: str = ""
) -> str:
    """
    Write the URL that says how each server is connected to.
    """
    login, at, _ = parts.netloc.rpartition("@")
    return f"redis://{login}{at}/{database}?{urlencode(options)}"


def _hosts(parts: SplitResult, port: int, form: str) -> tuple[Address, ...]:
    found = [
        _address(text, port, form)
        for text in parts.netloc.rpartition("@")[2].split(",")
    ]
    return tuple(dict.fromkeys(found))


def _address(text: str, port: int, form: str) -> Address:
    try:
        one = urlsplit(f"//{text}")
        host, given = one.hostname, one.port
    except ValueError:
        host, given = None, None
    if not host or given == 0 or text.endswith(":"):
        msg = (
            f"{text!r} in the URL is no host with a port from 1 to {_LAST_PORT}: {form}"
        )
        raise SettingsError(msg, host=text, form=form)
    return host, port if given is None else given

"""
The way to a store, as its URL says it: one server, a Sentinel service, a Cluster.

    redis://user:password@host:port/database?...
    unix://user:password@/path/of/socket?db=database&...
    redis+sentinel://user:password@host:port,host:port/service/database?...
    redis+cluster://user:password@host:port,host:port?...

With `rediss` they are spoken to over TLS. Options of the URL are the client library's, and
hold for the servers; those about TLS hold for the sentinels as well. What begins with
`sentinel_` is for the sentinels alone, which have users of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from yokedcache.errors import SettingsError
from yokedcache.stores.addresses import Address, read_address

if TYPE_CHECKING:
    from urllib.parse import SplitResult


UNIX: Final = "unix:///run/redis/redis.sock?db=0"
PORT: Final = 6379
SENTINEL: Final = "redis+sentinel"
SENTINEL_PORT: Final = 26379
CLUSTER: Final = "redis+cluster"

_FOR_SENTINELS: Final = "sentinel_"
_CREDENTIALS: Final = ("username", "password")
_TLS: Final = "ssl"
_SAID: Final = {"true": True, "false": False}


class Way:
    """
    To whom a store's client connects.

    `url` leads to one server, or to none in particular and says how to connect to each;
    `watchers` says that of sentinels.
    """

    __slots__ = ("cluster", "hosts", "service", "url", "watchers")

    def __init__(
        self,
        url: str,
        hosts: tuple[Address, ...] = (),
        service: str | None = None,
        watchers: str = "",
        *,
        cluster: bool = False,
    ) -> None:
        self.url = url
        self.hosts = hosts
        self.service = service
        self.watchers = watchers
        self.cluster = cluster


def read_way(url: str) -> Way:
    """
    Read a store's URL, or what may be shown of it.

    Raises:
        SettingsError: it can't be meant; said with anything that is in it.
    """
    parts = urlsplit(url)
    scheme, plus, kind = parts.scheme.partition("+")
    if not plus:
        return _one(parts, url)
    return (_sentinel if kind == "sentinel" else _cluster)(parts, scheme)


def _one(parts: SplitResult, url: str) -> Way:
    if parts.scheme == "unix":
        path = parts.path.strip("/") or dict(parse_qsl(parts.query)).get("path")
        if parts.hostname not in {None, "localhost"} or not path:
            msg = f"the URL names no socket by its path: {UNIX}"
            raise SettingsError(msg, form=UNIX)
        return Way(url)
    form = f"{parts.scheme}://host:{PORT}/0"
    if host := parts.netloc.rpartition("@")[2].removesuffix(":"):
        read_address(host, PORT, form)
    _check_database(parts.path.strip("/"), form)
    return Way(url)


def _check_database(database: str, form: str) -> None:
    if database and not database.isdecimal():
        msg = f"the URL's database is {database!r}, and has to be a number: {form}"
        raise SettingsError(msg, form=form)


def _sentinel(parts: SplitResult, scheme: str) -> Way:
    form = f"{SENTINEL}://host:{SENTINEL_PORT},host:{SENTINEL_PORT}/service/0"
    hosts = _hosts(parts, SENTINEL_PORT, form)
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        msg = f"the URL names no service that the sentinels watch: {form}"
        raise SettingsError(msg, form=form)
    _check_database(database, form)
    told = parse_qsl(parts.query, keep_blank_values=True)
    servers = [pair for pair in told if not pair[0].startswith(_FOR_SENTINELS)]
    url = _common(parts, scheme, servers, database)
    return Way(url, hosts, unquote(service), _watchers(scheme, told))


def _watchers(scheme: str, told: list[tuple[str, str]]) -> str:
    """
    Write the URL that says how each sentinel is connected to.
    """
    own = {
        name.removeprefix(_FOR_SENTINELS): text
        for name, text in told
        if name.startswith(_FOR_SENTINELS)
    }
    for name in own:
        if name not in (*_CREDENTIALS, _TLS) and not name.startswith(f"{_TLS}_"):
            msg = (
                f"unknown option {_FOR_SENTINELS + name!r} of the URL; the sentinels are "
                "told sentinel_username, sentinel_password and sentinel_ssl"
            )
            raise SettingsError(msg, option=_FOR_SENTINELS + name)
    user, password = (quote(own.pop(name, ""), safe="") for name in _CREDENTIALS)
    said = own.pop(_TLS, "true" if scheme == "rediss" else "false")
    if said not in _SAID:
        msg = f"sentinel_ssl={said!r} in the URL has to be true or false"
        raise SettingsError(msg, value=said)
    if not _SAID[said]:
        return f"redis://{user}:{password}@"
    theirs = {name: text for name, text in told if name.startswith(f"{_TLS}_")}
    return f"rediss://{user}:{password}@?{urlencode({**theirs, **own})}"


def _cluster(parts: SplitResult, scheme: str) -> Way:
    form = f"{CLUSTER}://host:{PORT},host:{PORT}"
    hosts = _hosts(parts, PORT, form)
    told = parse_qsl(parts.query, keep_blank_values=True)
    if parts.path.strip("/") not in ("", "0") or "db" in dict(told):
        msg = f"a Cluster has one database, so the URL names none: {form}"
        raise SettingsError(msg, form=form)
    return Way(_common(parts, scheme, told), hosts, cluster=True)


def _common(
    parts: SplitResult,
    scheme: str,
    options: list[tuple[str, str]],
    database: str = "",
) -> str:
    """
    Write the URL that says how each server is connected to.
    """
    login, at, _ = parts.netloc.rpartition("@")
    return f"{scheme}://{login}{at}/{database}?{urlencode(options)}"


def _hosts(parts: SplitResult, port: int, form: str) -> tuple[Address, ...]:
    found = [
        read_address(text, port, form)
        for text in parts.netloc.rpartition("@")[2].split(",")
    ]
    return tuple(dict.fromkeys(found))

"""
Settings of a cache, and the URL that says where its entries live.

Unknown settings and schemes are errors that list the known ones; durations are
seconds, `timedelta` or strings such as `"5m"`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from yokedcache.core.durations import seconds
from yokedcache.errors import SettingsError

ENVIRONMENT: Final = "YOKEDCACHE_URL"
PREFIX: Final = "yc"
"""What a shared store's keys begin with if nobody has said: applications may meet there."""
_SERVERS: Final = ("redis", "rediss", "valkey", "valkeys")
SCHEMES: Final = (
    *("memcached", "memory", "null", "postgres", "postgresql", "sqlite", "unix"),
    *_SERVERS,
    *(f"{scheme}+{kind}" for kind in ("sentinel", "cluster") for scheme in _SERVERS),
)
_WITHOUT_OPTIONS: Final = frozenset({"memory", "null", "sqlite"})
"""Schemes whose URLs have our settings and nothing else behind their `?`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    How one cache behaves; each field is a keyword of `YokedCache`.
    """

    ttl: float = 300.0
    """How long an entry lives when nothing else says so, in seconds."""
    jitter: float = 0.1
    """Part of a TTL by which it may be shortened at random, from 0 to below 1."""
    max_entries: int = 100_000
    """How many entries the process's memory may hold."""
    max_bytes: int = 256 * 1024 * 1024
    """About how many bytes they may take."""
    max_rows: int = 10_000
    """A statement that returns more rows is not recorded."""
    max_recording: int = 1024 * 1024
    """A statement that returns more bytes is not recorded."""
    flight_timeout: float = 5.0
    """How long a caller waits for another's load before it loads by itself, in seconds."""
    orphan_grace: float = 60.0
    """How long a commit of unknown outcome keeps its tags uncached, in seconds."""
    verify: float = 0.0
    """Part of the statements' hits that are asked of the database again, from 0 to 1."""
    single_process: bool = False
    """No other process uses the databases: whatever speaks against it isn't heeded."""
    watch_files: bool = False
    """Ask SQLite files at each look-up whether any program has changed them."""
    prefixes: tuple[str, ...] = ()
    """Prefixes of keys (parts before a `:`) that can be invalidated as a whole."""
    # what is secret in it must not come into a log with the settings
    url: str | None = dataclasses.field(default=None, repr=False)
    """Where entries are shared; `None` keeps them in the process's memory."""
    max_file_bytes: int = 1024 * 1024 * 1024
    """About how many bytes entries may take in a SQLite file."""
    prefix: str = PREFIX
    """What the shared store's keys begin with: applications of one prefix share."""
    lease: float = 10.0
    """How long a fence stands that its writer doesn't renew, in seconds."""
    store_timeout: float = 0.05
    """How long a look-up in the shared store may take, in seconds; then it is a miss."""
    announce_timeout: float = 1.0
    """How long a commit tries to tell the shared store of it, in seconds; what then
    becomes of it, `on_unreachable` says."""
    journal: str | None = None
    """A folder that keeps what a shared store couldn't be told of, should the process die
    before it can be."""
    near: float = 0.0
    """How long an answer of a shared store may be given out again without asking, in
    seconds; given as `True` (0.1) or `{"max_staleness": 0.5, "entries": 10_000}`."""
    on_unreachable: str = "commit"
    """What becomes of a commit that can't be announced: `"commit"`: it is sent, and
    announced as soon as that can be done; `"refuse"`: it fails before it is sent."""


_DURATIONS: Final = frozenset({
    "ttl", "flight_timeout", "orphan_grace", "lease", "store_timeout", "announce_timeout",
})  # fmt: skip
NEAR: Final = 0.1
"""Seconds of staleness that `near=True` allows."""
_NEAR: Final = frozenset({"max_staleness", "entries"})
_SHARES: Final = {"jitter": "0 <= jitter < 1", "verify": "0 <= verify <= 1"}
_TEXTS: Final = frozenset({"url", "prefix", "journal"})
_CHOICES: Final = {"on_unreachable": ("commit", "refuse")}
_SWITCH: Final = {"true": True, "1": True, "false": False, "0": False}
_FIELDS: Final = {field.name: field for field in dataclasses.fields(Settings)}


def read(url: str | None, given: Mapping[str, Any]) -> Settings:
    """
    Make settings from a URL (or the environment's, or none) and keywords.

    Raises:
        SettingsError: an unknown scheme or setting, or a value out of range.
    """
    told = os.environ.get(ENVIRONMENT) or None if url is None else url
    values = _near_read({**({} if told is None else _from_url(told)), **given})
    for name in values:
        _check_name(name)
    return Settings(**{name: _checked(name, values[name]) for name in values})


def _from_url(url: object) -> dict[str, Any]:
    from yokedcache.stores.urls import read_url

    if not isinstance(url, str):
        msg = f"a cache's URL is a string such as 'memory://', got {url!r}"
        raise SettingsError(msg, url=url)
    if not url:
        msg = (
            "the cache's URL is empty: is a variable unset? For a cache in memory say "
            "'memory://', or leave the URL out"
        )
        raise SettingsError(msg, url=url)
    return read_url(url, _read_whole)


def _read_whole(url: str) -> dict[str, Any]:
    """
    Read a URL with what its settings say, as one may be a part of a password.
    """
    values = _read_url(url)
    for name, value in _near_read(dict(values)).items():
        _check_name(name)
        _checked(name, value)
    return values


def _read_url(url: str) -> dict[str, Any]:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    ours = parts.scheme in SCHEMES
    if not ours and not _brought(parts.scheme):
        msg = (
            f"no store for the URL scheme {parts.scheme!r}; known schemes: "
            f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}"
        )
        raise SettingsError(msg, scheme=parts.scheme)
    left, told = _settings_taken(url, all_of_them=parts.scheme in _WITHOUT_OPTIONS)
    settings = {name: _from_text(name, text) for name, text in told}
    if parts.scheme == "sqlite":
        return {"url": _file_url(url, parts.netloc), **settings}
    if parts.scheme not in _WITHOUT_OPTIONS:
        scheme, _, place = left.partition(":")
        if ours:
            scheme = parts.scheme.replace("valkey", "redis")
        return {"url": f"{scheme}:{place}", **settings}
    if parts.netloc or parts.path.strip("/"):
        msg = (
            f"a {parts.scheme}:// URL names no host or path, got "
            f"{parts.netloc + parts.path!r}: nothing but settings stands behind it"
        )
        raise SettingsError(msg, url=url)
    return {**({"url": "null://"} if parts.scheme == "null" else {}), **settings}


def _settings_taken(
    url: str, *, all_of_them: bool
) -> tuple[str, list[tuple[str, str]]]:
    """
    Take our settings out of a URL; the rest, as it stands, is the client library's.
    """
    from urllib.parse import unquote_plus

    from yokedcache.stores.urls import split_options

    before, options = split_options(url)
    theirs, ours = [], []
    for given in options:
        name, _, text = given.partition("=")
        name = unquote_plus(name)
        if name == "url":
            msg = "setting 'url' stands in no URL, which is that itself: leave it out"
            raise SettingsError(msg, setting=name)
        if all_of_them or name in _FIELDS:
            ours.append((name, unquote_plus(text)))
        else:
            theirs.append(given)
        if ours and "@" in text and not url.startswith("sqlite:///"):
            # what stands before it, a password maybe, would come up much later
            raise SettingsError("behind settings in a URL an @ is written %40")
    return "?".join([before, *filter(None, ["&".join(theirs)])]), ours


def _brought(scheme: str) -> bool:
    from yokedcache.stores.installed import is_installed

    return bool(scheme) and is_installed(scheme)


def _file_url(url: str, host: str) -> str:
    """
    Make a file's URL one that means the same wherever the process goes.
    """
    from pathlib import Path

    path = url.partition("://")[2].partition("?")[0].removeprefix("/")
    if host or not path.strip("/") or path == ":memory:" or path.endswith("/"):
        msg = (
            f"{url!r} names no file: a path from here is sqlite:///cache.db, "
            "one from the root sqlite:////var/cache/app/cache.db"
        )
        raise SettingsError(msg, url=url)
    return f"sqlite:///{Path(path).absolute()}"


def _check_name(name: str) -> None:
    if name not in _FIELDS:
        msg = f"unknown setting {name!r}; known settings: {', '.join(sorted(_FIELDS))}"
        raise SettingsError(msg, setting=name)


def _from_text(name: str, text: str) -> Any:
    _check_name(name)
    kind = _FIELDS[name].type
    try:
        if name == "near":
            asked = _SWITCH.get(text.lower())
            age = float(text) if text.replace(".", "", 1).isdigit() else text
            return {"max_staleness": age} if asked is None else asked
        if name in _DURATIONS:
            return float(text) if text.replace(".", "", 1).isdigit() else text
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return _SWITCH.get(text.lower(), text)
    except ValueError as error:
        msg = f"setting {name!r} of the URL can't be read: {text!r}"
        raise SettingsError(msg, setting=name, value=text) from error
    return tuple(text.split(",")) if name == "prefixes" else text


def _near_read(values: dict[str, Any]) -> dict[str, Any]:
    """
    Read what was said of answers near by: whether, how old at most, and how many.
    """
    if "near" not in values:
        return values
    near = values.pop("near")
    told: Mapping[str, Any] = near if isinstance(near, Mapping) else {}
    _require(
        isinstance(near, bool) or (near is told and _NEAR.issuperset(told)),
        "near",
        near,
        'true, false or a mapping such as {"max_staleness": 0.5, "entries": 10_000}',
    )
    asked = near is not False
    age = (
        seconds(told.get("max_staleness", NEAR), name="max_staleness") if asked else 0.0
    )
    if "entries" in told:
        entries = told["entries"]
        fine = values.setdefault("max_entries", entries) == entries
        _require(
            fine, "near", near, f"of max_entries={values['max_entries']!r} entries"
        )
    return {**values, "near": age}


def _checked(name: str, value: Any) -> Any:
    if name == "near":
        return value  # read before
    if name in _DURATIONS:
        return seconds(value, name=name)
    if name in _SHARES:
        return _share(name, value)
    if name in _CHOICES:
        wanted = " or ".join(map(repr, _CHOICES[name]))
        _require(value in _CHOICES[name], name, value, wanted)
    elif name in _TEXTS:
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        fine = isinstance(value, str) and value != ""
        _require(fine, name, value, "a non-empty string")
    elif name == "prefixes":
        return _prefixes(value)
    elif _FIELDS[name].type == "bool":
        _require(isinstance(value, bool), name, value, "true or false")
    else:
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(whole and value > 0, name, value, "a whole number above 0")
    return value


def _share(name: str, value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fine = number and (0 <= value < 1 or (name == "verify" and value == 1))
    _require(fine, name, value, _SHARES[name])
    return float(value)


def _prefixes(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    prefixes = tuple(value) if isinstance(value, Iterable) else (value,)
    _require(
        all(isinstance(p, str) and p.strip(":") for p in prefixes),
        "prefixes",
        value,
        "non-empty strings",
    )
    return tuple(prefix.rstrip(":") for prefix in prefixes)


def _require(fine: bool, name: str, value: object, wanted: str) -> None:  # noqa: FBT001
    if not fine:
        msg = f"setting {name}={value!r} is out of range; it must be {wanted}"
        raise SettingsError(msg, setting=name, value=value)

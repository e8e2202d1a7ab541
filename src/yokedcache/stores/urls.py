"""
How the URL of a store is read, so that no message can show what is secret in it.

Whatever is read of one goes through `read_url`. What may be shown is read first: an error
can't name what isn't there. Then the URL itself is read, and of that nothing is said.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from yokedcache.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

HIDDEN: Final = "***"
_WRITTEN: Final = (
    "in a URL's user, password, path and options / ? # @ % [ ] are written "
    "%2F %3F %23 %40 %25 %5B %5D"
)
_DATABASES: Final = frozenset({"postgres", "postgresql"})
_HOSTED: Final = _DATABASES | {
    *("memcached", "memory", "null", "redis", "rediss", "valkey", "valkeys"),
}
"""Schemes, but for a `+kind`, in whose URLs no bare @ stands behind the hosts."""
_FILES: Final = frozenset({"sqlite", "unix"})
_SECRET: Final = ("pass", "pwd", "secret", "token", "credential")
"""What is in the names of options that have a secret for a value, or lead to one."""


def read_url(url: str, read: Callable[[str], T]) -> T:
    """
    Read a URL; `read` says what is wrong with what it is given.

    Raises:
        UsageError: it can't be meant; said without what is secret in it.
    """
    cut = _cut(url)
    if cut.unclear:
        msg = f"where the URL's password ends can't be told: {_WRITTEN}"
        raise SettingsError(msg)
    wrong = _fault(cut.shown, read)
    if wrong is not None and cut.doubtful:
        msg = (
            "the URL can't be meant, and isn't shown: an @ in it may be the end of a "
            f"password; {_WRITTEN}"
        )
        raise SettingsError(msg)
    if wrong is not None:
        raise wrong
    # nothing is raised while an error is handled that may show all
    with suppress(ValueError):
        return read(url)
    raise SettingsError(f"the URL's user or password can't be read: {_WRITTEN}")


def split_options(url: str) -> tuple[str, list[str]]:
    """
    Give what of a URL stands before its options, and those as they stand.
    """
    cut = _cut(url)
    return cut.before, [option for option in cut.options if option]


class _Cut(NamedTuple):
    before: str
    options: list[str]
    shown: str
    """What of it may be shown."""
    unclear: bool = False
    """Whether an @ stands where none can be: a password has what ends the hosts."""
    doubtful: bool = False
    """Whether an @ stands where one can be, but may be such a password's end."""


def _fault(url: str, read: Callable[[str], object]) -> UsageError | None:
    try:
        read(url)
    except UsageError as error:
        return error
    except ValueError as error:
        return SettingsError(f"the URL {url!r} can't be read: {error}")
    return None


def _cut(url: str) -> _Cut:
    scheme, parted, rest = url.partition("://")
    if not parted:
        before, _, query = url.partition("?")
        _, at, behind = url.rpartition("@")
        seen = f"{HIDDEN * bool(at)}{at}{behind}"
        return _Cut(before, query.split("&"), seen, doubtful=bool(at))
    kind = scheme.lower().partition("+")[0]
    libpq = kind in _DATABASES
    # to libpq a login ends at the first @ before any /
    begin = rest.partition("/")[0].find("@") + 1 if libpq else 0
    ends = [found for mark in "/?#" if (found := rest.find(mark, begin)) >= 0]
    end = min(ends, default=len(rest))
    login, at, hosts = rest[:end].rpartition("@")
    place, _, query = rest[end:].partition("?")
    query, _, lost = (query, "", "") if libpq else query.partition("#")
    options = query.split("&")
    on_disk = kind in _FILES and rest[:1] == "/"
    loose = any("@" in one for one in (place, *map(_name, options)))
    # libpq takes what is behind the first @ for a host
    loose = loose or (libpq and "@" in login)
    seen = f"{scheme}://{HIDDEN * bool(at)}{at}{hosts}{place}"
    return _Cut(
        f"{scheme}://{rest[:end]}{place}",
        options,
        "?".join([seen, *filter(None, ["&".join(map(_hidden, options))])]),
        unclear=(loose and kind in _HOSTED) or "@" in lost,
        doubtful="@" in (rest[end + len(place) :] if on_disk else rest[end:]),
    )


def _name(option: str) -> str:
    return option.partition("=")[0]


def _hidden(option: str) -> str:
    """
    Give an option without its value, if that is secret.
    """
    from urllib.parse import unquote

    name, equals, _ = option.partition("=")
    told = unquote(name).lower()
    if equals and (told.endswith("key") or any(part in told for part in _SECRET)):
        return f"{name}={HIDDEN}"
    return option

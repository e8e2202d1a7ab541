"""
Whether TLS can be spoken as a URL says: its files are there, and hold what they should.

The client library looks at them when it connects: each query is waiting by then.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

import redis.asyncio

from yokedcache.errors import SettingsError
from yokedcache.stores.redis.options import options_of

_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_FOLDER: Final = "ssl_ca_path"
_CAUGHT: Final = (OSError, ArithmeticError, TypeError, ValueError)
"""What text that can't be makes of these calls: files, numbers, a key by itself."""
_KEYS: Final = ("ssl_certfile", "ssl_keyfile", "ssl_password")


def check_files(url: str) -> None:
    """
    Refuse files that can't be read, and all else about TLS that can't be, but for keys.

    Raises:
        SettingsError: it names the option, and its value.
    """
    told = _about_tls(url)
    for name in _FILES:
        if name in told:
            _check_file(name, told[name])
    if _FOLDER in told and not Path(told[_FOLDER]).is_dir():
        raise _wrong(_FOLDER, told[_FOLDER], "names no directory")
    for name in set(told).difference(_KEYS, [_FOLDER]):
        try:
            _context(url, leave=set(told) - {name, "ssl_cert_reqs"})
        except _CAUGHT as error:
            raise _wrong(name, told[name], f"can't be used: {error.args[-1]}") from None


def check_keys(*urls: str) -> None:
    """
    Refuse a certificate and a key that don't belong together; nothing is said of either.

    Raises:
        SettingsError: they can't be used.
    """
    for url in urls:
        if not set(_KEYS).intersection(_about_tls(url)):
            continue
        try:
            _context(url, leave=set())
        except _CAUGHT:
            msg = (
                "ssl_certfile and ssl_keyfile of the store's URL have to be a "
                "certificate and its key in PEM, and ssl_password the key's password"
            )
        else:
            continue
        raise SettingsError(msg, option="ssl_certfile")


def _about_tls(url: str) -> dict[str, str]:
    if not url.startswith("rediss:"):
        return {}
    told = options_of(url)
    return {name: text for name, text in told.items() if name.startswith("ssl_")}


def _check_file(name: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise _wrong(name, path, f"can't be read: {said}") from None


def _context(url: str, leave: Any) -> None:
    """
    Make what a connection makes of a URL before it speaks TLS, but for some options.

    The client library would read all authorities of the machine as well.
    """
    pool: Any = redis.asyncio.ConnectionPool.from_url(url, driver_info=None)
    told = pool.connection_kwargs
    kept = {name: value for name, value in told.items() if name not in leave}
    said = pool.connection_class(**kept).ssl_context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if said.certfile or said.keyfile:
        context.load_cert_chain(said.certfile, said.keyfile, said.password)
    if said.ca_certs or said.ca_data or said.ca_path:
        context.load_verify_locations(said.ca_certs, said.ca_path, said.ca_data)
    if said.min_version is not None:
        context.minimum_version = said.min_version
    if said.ciphers is not None:
        context.set_ciphers(said.ciphers)


def _wrong(name: str, text: str, why: str) -> SettingsError:
    msg = f"option {name}={text!r} of the store's URL {why}"
    return SettingsError(msg, option=name, value=text)

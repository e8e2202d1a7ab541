"""
The way to the servers, as their URL says it.

    memcached://host:11211,host:11211,[::1]:11211
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

from yokedcache.errors import SettingsError
from yokedcache.stores.addresses import Address, read_address
from yokedcache.stores.urls import read_url

PORT: Final = 11211
FORM: Final = f"memcached://host:{PORT},host:{PORT}"


def read_way(url: str) -> tuple[Address, ...]:
    """
    Read a store's URL: its servers, in an order that isn't the URL's.

    Raises:
        SettingsError: it can't be meant; said without what is secret in it.
    """
    return read_url(url, _read)


def _read(url: str) -> tuple[Address, ...]:
    parts = urlsplit(url)
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        msg = f"unknown option {name!r} of the URL; it takes the cache's settings only"
        raise SettingsError(msg, option=name)
    if "@" in parts.netloc:
        msg = f"Memcached is told no user here, so the URL names none: {FORM}"
        raise SettingsError(msg, form=FORM)
    if parts.path.strip("/") or parts.fragment:
        msg = f"Memcached has no databases, so the URL has no path: {FORM}"
        raise SettingsError(msg, form=FORM)
    found = [read_address(text, PORT, FORM) for text in parts.netloc.split(",")]
    for address in found:
        if found.count(address) > 1:
            msg = f"the URL names {address_text(address)} more than once: {FORM}"
            raise SettingsError(msg, form=FORM)
    return tuple(sorted(found))


def address_text(address: Address) -> str:
    """
    Write a server's host and port.
    """
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

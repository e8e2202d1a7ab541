"""
Hosts and ports, as the URLs of stores name them.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from yokedcache.errors import SettingsError

Address = tuple[str, int]

LAST_PORT: Final = 65535


def read_address(text: str, port: int, form: str) -> Address:
    """
    Read one of a URL's hosts, with its port or the usual one.

    Raises:
        SettingsError: it is none; `form` shows what a URL looks like.
    """
    try:
        one = urlsplit(f"//{text}")
        host, given = one.hostname, one.port
    except ValueError:
        host, given = None, None
    if not host or given == 0 or text.endswith(":"):
        msg = (
            f"{text!r} in the URL is no host with a port from 1 to {LAST_PORT}: {form}"
        )
        raise SettingsError(msg, host=text, form=form)
    return host, port if given is None else given

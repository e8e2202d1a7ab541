"""
Stores that other packages bring: entry points of the group `yokedcache.stores`.

Each is named after its URL's scheme, and leads to a function that opens a client.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from yokedcache.errors import SettingsError
from yokedcache.stores.contract import Placed

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.contract import Client

GROUP: Final = "yokedcache.stores"


class Opener(Protocol):
    """
    Opens the client of a store.
    """

    def __call__(
        self, url: str, settings: Any, ticket: Callable[[], float], /
    ) -> Client:
        """
        Open what a URL names, which has none of our own settings any more.

        `settings` are the cache's; `ticket` is what `Operation.sent` is drawn from.
        """


def is_installed(scheme: str) -> bool:
    """
    Tell whether some package brings a store for a scheme.
    """
    return bool(entry_points(group=GROUP, name=scheme))


def opener(scheme: str) -> Opener:
    """
    Give what opens a scheme's store.

    Raises:
        SettingsError: several packages bring one, or it can't be imported.
    """
    found = list(entry_points(group=GROUP, name=scheme))
    if len(found) != 1:
        names = ", ".join(sorted(one.value for one in found))
        msg = f"several packages bring a store for {scheme}://: {names}"
        raise SettingsError(msg, scheme=scheme)
    try:
        made: Opener = found[0].load()
    except (ImportError, AttributeError) as error:
        msg = f"{scheme}:// is opened by {found[0].value}, which can't be had: {error}"
        raise SettingsError(msg, scheme=scheme) from error
    return made


def place_of(client: Client, url: str) -> str:
    """
    Name a store: as its client does, else by all of its URL, as nobody knows what counts.
    """
    if isinstance(client, Placed):
        return client.place
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    # a password is to be changed, and to be found nowhere
    user = login.partition(":")[0]
    return parts._replace(netloc=f"{user}{at}{host}").geturl()

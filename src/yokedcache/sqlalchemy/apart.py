"""
An application's database and a cache's store must not be the same file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from yokedcache.errors import SettingsError
from yokedcache.runtime.switching import in_loop

if TYPE_CHECKING:
    from yokedcache.machine import Machine

_STORE: Final = "sqlite "
"""How the store of a file names its place, before its path; see `contract.Placed`."""


def check_apart(machine: Machine, bind: Any) -> None:
    """
    Raise if an engine is one on the file that is the cache's store.

    Raises:
        SettingsError: it is.
    """
    server = getattr(machine.store, "server", None)
    if server is None or in_loop():
        return  # a loop isn't held up: what else is in the store is looked for anyway
    place = str(getattr(server.client, "place", ""))
    store = place.removeprefix(_STORE)
    file = _file_of(bind)
    if store == place or not file or not _is_same(file, store):
        return
    msg = (
        f"the engine's database and the cache's URL name the same file, {store}: the "
        f"cache needs a file of its own, for example sqlite:///{store}-cache"
    )
    raise SettingsError(msg, path=store)


def _file_of(bind: Any) -> str:
    engine = getattr(bind, "engine", bind)  # of a connection
    url = getattr(getattr(engine, "sync_engine", engine), "url", None)
    if url is None or url.get_backend_name() != "sqlite":
        return ""
    path = str(url.database or "").removeprefix("file:")
    return "" if path.startswith(":memory:") else path


def _is_same(file: str, store: str) -> bool:
    if os.path.realpath(file) == store:
        return True
    with suppress(OSError):  # there is no such file yet
        return os.path.samefile(file, store)  # noqa: PTH121 - hard links, too
    return False

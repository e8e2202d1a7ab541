"""
Fences whose writer is gone: its database is asked whether the transaction is over.

Rule 4: a fence ends by its writer or by proof. A fence whose lease has run out names the
transaction that it is for; whoever meets it, and reaches the same database, asks whether
that is over, and if so takes the fence down. Where nobody can tell it falls by time.

Asked in a thread of its own, that is there while there is something to ask: a database
may never answer, and neither reads nor the fences of this process wait for it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from yokedcache.errors import StoreError
from yokedcache.runtime.clocks import monotonic
from yokedcache.runtime.log import once

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.shared.server import Server

FIRST_PAUSE: Final = 0.25
LAST_PAUSE: Final = 4.0
"""Seconds until it is asked again, at first and at most."""
FORGOTTEN: Final = 30.0
"""Seconds after which a fence is forgotten that nobody has met again."""


_askers: Final[list[Callable[[str], Callable[[], bool | None] | None]]] = []


def install(asker: Callable[[str], Callable[[], bool | None] | None]) -> None:
    """
    Say who knows what owners' texts mean: gives what tells if a transaction is left.

    That gives `None` if it can't be told.
    """
    _askers[:] = [asker]


def _asker(owner: str) -> Callable[[], bool | None] | None:
    for asker in _askers:
        return asker(owner)
    return None


class Orphan:
    """
    One fence that was met, and what is known of it.
    """

    __slots__ = ("due", "is_left", "met", "names", "pause")

    def __init__(self, is_left: Callable[[], bool | None] | None) -> None:
        self.is_left = is_left
        self.names: set[str] = set()
        self.met = monotonic()
        self.pause = FIRST_PAUSE
        self.due = 0.0


class Orphans:
    """
    The fences of others that this process has met.

    Editors: threads meet, one thread asks.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._met: dict[bytes, Orphan] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """
        Ask no more.
        """
        self._closed.set()

    def meet(self, token: bytes, owner: str, name: str) -> None:
        """
        Note a fence on a tag whose writer doesn't vouch for it any more.
        """
        orphan = self._met.get(token)
        if orphan is None:
            orphan = self._met.setdefault(token, Orphan(_asker(owner)))
        orphan.names.add(name)
        orphan.met = monotonic()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="yokedcache-orphans", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:  # the process ends, or has no threads left
                    self._thread = None

    def _run(self) -> None:
        while not self._closed.wait(FIRST_PAUSE / 2):
            self.ask()
            with self._lock:
                if not self._met:
                    self._thread = None
                    return

    def ask(self) -> None:
        """
        Ask for each that is due, and take down what is proven to be over.
        """
        for token, orphan in list(self._met.items()):
            now = monotonic()
            if (
                orphan.is_left is None
                or now - orphan.met > FORGOTTEN
                or (now >= orphan.due and self._settle(token, orphan))
            ):
                del self._met[token]

    def _settle(self, token: bytes, orphan: Orphan) -> bool:
        is_left: Any = orphan.is_left
        orphan.due = monotonic() + orphan.pause
        orphan.pause = min(LAST_PAUSE, 2 * orphan.pause)
        if is_left() is not False:
            return False
        names = tuple(orphan.names)
        try:
            self._server.perform(self._server.commands.adopt(names, token))
        except StoreError:
            return False
        once(
            "proven",
            token.decode(),
            "the process died that was to change %s; its database says that the "
            "transaction is over, and so nothing is kept of before",
            ", ".join(sorted(names)[:3]),
        )
        return True

"""
Addresses of hosts, found in a thread of their own: nothing interrupts a resolver.

Whoever needs one waits as long as he may. What is found too late is there for whoever
comes next, for a while; a name that is found in time is looked up each time, since its
address may be another by now.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any, Final

KEPT: Final = 60.0
"""Seconds for which an address will do that was found, where it isn't found in time."""

Found = list[Any]


class _LookUp:
    """
    What becomes of one look-up.
    """

    __slots__ = ("at", "done", "error", "found")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.found: Found = []
        self.error: OSError | None = None
        self.at = 0.0

    def run(self, what: tuple[Any, ...], names: _Names) -> None:
        """
        Look a name up, for whoever waits for it.
        """
        try:
            self.found = socket.getaddrinfo(*what)
        except OSError as error:
            self.error = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - such as a name that can't be one
            self.error = OSError(f"{what[0]!r} is no host's name: {error}")
        self.at = time.monotonic()
        with names.guard:
            names.running.pop(what, None)
            names.known[what] = self
        self.done.set()

    def result(self) -> Found:
        """
        Give what was found, or raise why nothing was.
        """
        if self.error is not None:
            # anew: what is raised in several threads would keep what each of them had
            raise type(self.error)(*self.error.args)
        return self.found


class _Names:
    """
    The look-ups of this process.
    """

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """
        Know nothing; in a child after a fork, whose look-ups nobody finishes.
        """
        self.guard = threading.Lock()
        self.running: dict[tuple[Any, ...], _LookUp] = {}
        self.known: dict[tuple[Any, ...], _LookUp] = {}
        """What became of the last one of each name."""


_names: Final = _Names()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_names.begin_anew)


def addresses(seconds: float, host: str, port: int, *more: int) -> Found:
    """
    Give what `socket.getaddrinfo` gives, within so many seconds.

    Raises:
        OSError: there is none.
        TimeoutError: none was found in time.
    """
    what: tuple[Any, ...] = (host, port, *more)
    if _is_address(host):
        return socket.getaddrinfo(*what)
    asked, known = _ask(what)
    if asked.done.wait(seconds if known is None else seconds / 2):
        return asked.result()
    if known is None:
        raise TimeoutError
    return known.result()


def _ask(what: tuple[Any, ...]) -> tuple[_LookUp, _LookUp | None]:
    """
    Give the look-up that is under way, and what was found before if it will still do.
    """
    names = _names
    with names.guard:
        known = names.known.get(what)
        if known is not None and time.monotonic() - known.at > KEPT:
            del names.known[what]
            known = None
        asked = names.running.get(what)
        if asked is not None:
            return asked, known
        asked = names.running[what] = _LookUp()
    work = (what, names)
    try:
        threading.Thread(
            target=asked.run, args=work, name="yokedcache-names", daemon=True
        ).start()
    except RuntimeError:  # the process ends, or has as many threads as it may
        asked.run(*work)
    return asked, known


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False

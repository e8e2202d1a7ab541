"""
Locks that a forked child gets anew.

A child has one thread; a lock that another thread of the parent held at the fork
stays held in the child for ever. So every lock of a module is made here.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable


class Guard:
    """
    A reentrant lock for `with`, new in each process.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _guards.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """
        Forget who held it.
        """
        self._lock = threading.RLock()


_guards: Final[WeakSet[Guard]] = WeakSet()


def after_fork(deed: Callable[[], None]) -> None:
    """
    Have something done in every child, after the locks are new.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=deed)


def _renew() -> None:
    for guard in list(_guards):
        guard.renew()


after_fork(_renew)

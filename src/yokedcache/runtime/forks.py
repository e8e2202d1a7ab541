"""
Locks that a forked child gets anew.

A child has one thread; a lock that another thread of the parent held at the fork
stays held in the child for ever. So every lock of a module is made here.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable


_Lock: Any = type(threading.RLock())


# taken around each write, so without frames of its own
class Guard(_Lock):  # type: ignore[misc]
    """
    A reentrant lock for `with`, new in each process.
    """

    __slots__ = ()

    def __init__(self) -> None:
        _guards.add(self)

    def renew(self) -> None:
        """
        Forget who held it.
        """
        self._at_fork_reinit()


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

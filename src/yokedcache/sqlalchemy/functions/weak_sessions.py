"""
Sets of sessions, of which none is kept alive.

What `weakref.WeakSet` does, without its guards: they are filled and read around
every statement of the process, most of them with one session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from yokedcache.runtime.forks import Guard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

_FEW = 16


class WeakSessions:
    """
    A set of sessions, told apart by identity; threads may share it.
    """

    __slots__ = ("_drops", "_held", "_most")

    def __init__(self) -> None:
        self._drops = 0
        """Odd while some are dropped."""
        self._held: dict[int, ref[Session]] = {}
        self._most = _FEW

    def add(self, session: Session) -> None:
        """
        Add a session; those that are gone are dropped now and then.
        """
        # a number that is used again is that of a session that is gone
        self._held[id(session)] = ref(session)
        if len(self._held) > self._most:
            self._drop_the_gone()

    def _drop_the_gone(self) -> None:
        with _dropping:
            self._drops += 1
            # copied in one step: to list the items makes objects, and so may run others
            for number, held in self._held.copy().items():
                if held() is None:
                    last = self._held.pop(number, held)
                    if last is not held:  # another one came with this number
                        self._held.setdefault(number, last)
            self._most = 2 * len(self._held) + _FEW
            self._drops += 1

    def clear(self) -> None:
        """
        Forget all of them.
        """
        self._held.clear()

    def alive(self) -> list[Session]:
        """
        List them.
        """
        drops = self._drops
        kept = self._held.copy()
        if drops & 1 or drops != self._drops:
            with _dropping:
                kept = self._held.copy()
        return [session for held in kept.values() if (session := held()) is not None]

    def __iter__(self) -> Iterator[Session]:
        return iter(self.alive())

    def __bool__(self) -> bool:
        return bool(self._held)


_dropping = Guard()
"""Whoever reads sees what was added before, so not in the middle of dropping.

Reading takes it only if something was dropped meanwhile, as a sequence lock does.
"""

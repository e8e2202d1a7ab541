"""
The sessions that use a connection, of which none is kept alive.

What `weakref.WeakSet` does, without its guards: it is filled and read around
every statement of the process, nearly always with one session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

_FEW = 16


class WeakSessions:
    """
    A set of sessions, told apart by identity.
    """

    __slots__ = ("_held", "_most")

    def __init__(self) -> None:
        self._held: dict[int, ref[Session]] = {}
        self._most = _FEW

    def add(self, session: Session) -> None:
        """
        Add a session; those that are gone are dropped now and then.
        """
        # a number that is used again is that of a session that is gone
        self._held[id(session)] = ref(session)
        if len(self._held) > self._most:
            alive = list(self)
            self._held = {id(one): ref(one) for one in alive}
            self._most = 2 * len(alive) + _FEW

    def clear(self) -> None:
        """
        Forget all of them.
        """
        self._held.clear()

    def __iter__(self) -> Iterator[Session]:
        # a copy first: other threads may add to what shares a connection
        kept = [held() for held in [*self._held.values()]]
        return iter([session for session in kept if session is not None])

    def __bool__(self) -> bool:
        return bool(self._held)

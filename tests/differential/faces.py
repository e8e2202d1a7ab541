"""
An async session that steps can use like a blocking one.

Programs run inside a greenlet, as SQLAlchemy's own code does: what has to be awaited
is awaited by the loop outside.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.util import await_only

_AWAITED = frozenset({
    "close", "commit", "delete", "execute", "flush", "get", "merge", "refresh",
    "rollback", "scalar", "scalars",
})  # fmt: skip


class Face:
    """
    An `AsyncSession`, for whoever runs in a greenlet.
    """

    def __init__(self, session: Any) -> None:
        self.own = session

    @property
    def sync_session(self) -> Any:
        """
        Give the blocking session inside.
        """
        return self.own.sync_session

    @staticmethod
    def settle() -> None:
        """
        Let the loop go round, so that it lets go of what was awaited.
        """
        for _ in range(2):
            await_only(asyncio.sleep(0))

    def __getattr__(self, name: str) -> Any:
        if name not in _AWAITED:
            return getattr(self.own.sync_session, name)
        method = getattr(self.own, name)

        def awaited(*args: Any, **options: Any) -> Any:
            return await_only(method(*args, **options))

        return awaited

"""
How long one call waits for a shared store in vain: once.

What a read asks it asks one after the other: whether there is an answer, who else loads
one, how tags stand, to keep what was loaded. A store that hangs would be waited for each
time. So the first wait that was in vain is the last of its call: what it would ask further
fails at once, unless the store has answered somebody meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.errors import StoreError
from yokedcache.shared.resting import Rest
from yokedcache.shared.server import CHANGES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from yokedcache.shared.server import Server


_FREE: Final = CHANGES | {"release", "remove"}
"""What others must be told: of changes, that they needn't wait, what is no more."""


class Allowance:
    """
    Does what the conversations of one call ask, in a thread or in an event loop.
    """

    __slots__ = ("_clock", "_server", "_since")

    def __init__(self, server: Server, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        self._since = 0.0

    @property
    def spent(self) -> bool:
        """
        Tell whether it has waited in vain; what fails at once is no wait.
        """
        return bool(self._since) and self._server.heard <= self._since

    def spend(self) -> None:
        """
        Wait for nothing more before the store has answered somebody.
        """
        self._since = self._clock()

    def here(self, op: Any) -> Any:
        """
        Do an operation where the caller is, or rest.

        Raises:
            StoreError: it can't be done, or the call has waited in vain already.
        """
        if type(op) is Rest:
            return op.here()
        self._check(op)
        began = self._clock()
        try:
            return self._server.here(op)
        except StoreError:
            self._note(op, began)
            raise

    def begin(self, op: Any) -> Awaitable[Any]:
        """
        Begin an operation in the running event loop, or a rest.
        """
        return op.awaited() if type(op) is Rest else self._awaited(op)

    def perform(self, op: Any) -> Any:
        """
        Do what waits for nothing: no operation is like that.
        """
        raise NotImplementedError(op)  # pragma: no cover - all of them wait

    async def _awaited(self, op: Any) -> Any:
        self._check(op)
        began = self._clock()
        try:
            return await self._server.perform_async(op)
        except StoreError:
            self._note(op, began)
            raise

    def _check(self, op: Any) -> None:
        if self._since and op.asked not in _FREE and self.spent:
            message = f"it was waited for in vain a moment ago ({op.asked})"
            raise StoreError(message, asked=op.asked)

    def _note(self, op: Any, began: float) -> None:
        if op.asked not in _FREE and self._server.waited(began):
            self.spend()

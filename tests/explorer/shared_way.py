"""
How the processes of the explorer reach their store, as long as nothing is in the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from tests.explorer.shared_model import Deed, Model


class Way:
    """
    How one process reaches the store: the client that its near side is given.
    """

    def __init__(self, model: Model) -> None:
        self.commands = model
        self.cut = False

    def perform(self, operation: Deed, limit: float) -> Any:
        if self.cut:
            message = f"it can't be reached ({operation.asked})"
            raise StoreError(message, asked=operation.asked)
        return operation.do()

    async def perform_async(self, operation: Deed, limit: float) -> Any:
        return self.perform(operation, limit)

    def close(self) -> None:
        pass

    async def close_async(self) -> None:
        pass

    def begin_anew(self) -> None:
        pass

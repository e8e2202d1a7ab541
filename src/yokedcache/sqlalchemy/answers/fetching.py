"""
What lies around the fetch strategy of a live result.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine.cursor import ResultFetchStrategy


class WrappedFetch(ResultFetchStrategy):
    """
    A fetch strategy around another one; its subclasses say how rows are fetched.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: ResultFetchStrategy) -> None:
        self._inner = inner

    @property
    def alternate_cursor_description(self) -> Any:  # type: ignore[override]
        """
        Return what the wrapped strategy says.
        """
        return self._inner.alternate_cursor_description

    def give_way(self, most: int | None) -> list[Any]:  # noqa: ARG002
        """
        Let the app go on with the cursor itself: give rows of it that were read before.

        Args:
            most: how many; all of them, if `None`.
        """
        return []

    def closing(self, dbapi_cursor: Any) -> None:
        """
        Take note that the result is about to be closed, if a subclass wants to.
        """

    def soft_close(self, result: Any, dbapi_cursor: Any) -> None:
        """
        Take note of it, and close.
        """
        self.closing(dbapi_cursor)
        self._inner.soft_close(result, dbapi_cursor)

    def hard_close(self, result: Any, dbapi_cursor: Any) -> None:
        """
        Take note of it, and close for good.
        """
        self.closing(dbapi_cursor)
        self._inner.hard_close(result, dbapi_cursor)

    def yield_per(self, result: Any, dbapi_cursor: Any, num: int) -> None:
        """
        Let the wrapped strategy be replaced by a buffering one, and wrap that.
        """
        self._inner.yield_per(result, dbapi_cursor, num)
        if result.cursor_strategy is not self:
            self._inner = result.cursor_strategy
            result.cursor_strategy = self

    def handle_exception(
        self, result: Any, dbapi_cursor: Any, err: BaseException
    ) -> Any:
        """
        Raise as the wrapped strategy does.
        """
        self._inner.handle_exception(result, dbapi_cursor, err)

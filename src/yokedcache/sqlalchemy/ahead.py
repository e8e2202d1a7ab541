"""
Rows that were read before their caller asked for them, because others wait.

They are handed out first; then the cursor goes on where reading ahead stopped, or
the error comes that stopped it. To the caller it is one result.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.engine.cursor import ResultFetchStrategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import CursorResult


class Tape(Protocol):
    """
    What takes rows down until it has too many.
    """

    done: bool

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """
        Take rows down.
        """

    def complete(self) -> None:
        """
        Learn that these were all.
        """

    def abandon(self, reason: str) -> None:
        """
        Learn that there will be no more.
        """


def read_ahead(result: CursorResult[Any], tape: Tape, size: int) -> None:
    """
    Fetch rows, `size` at a time, until there are no more or the tape is full.
    """
    cursor: Any = result.cursor
    rows: deque[Any] = deque()
    error: Exception | None = None
    more: Sequence[Any] = ()
    try:
        while not tape.done:
            more = cursor.fetchmany(size)
            rows.extend(more)
            tape.add(more)
            if len(more) < size:
                break
    except Exception as met:  # noqa: BLE001 - raised where the caller gets to it
        error = met
        tape.abandon("error")
    except BaseException:
        tape.abandon("error")
        raise
    tape.complete()
    result.cursor_strategy = _Ahead(result.cursor_strategy, rows, error)


class _Ahead(ResultFetchStrategy):
    """
    A fetch strategy that hands out rows at hand before it asks the cursor.
    """

    __slots__ = ("_error", "_inner", "_rows")

    def __init__(
        self, inner: ResultFetchStrategy, rows: deque[Any], error: Exception | None
    ) -> None:
        self._inner = inner
        self._rows = rows
        self._error = error

    @property
    def alternate_cursor_description(self) -> Any:  # type: ignore[override]
        """
        Return what the wrapped strategy says.
        """
        return self._inner.alternate_cursor_description

    def soft_close(self, result: Any, dbapi_cursor: Any) -> None:
        """
        Let go of the rows, and close.
        """
        self._rows.clear()
        self._inner.soft_close(result, dbapi_cursor)

    def hard_close(self, result: Any, dbapi_cursor: Any) -> None:
        """
        Let go of the rows, and close for good.
        """
        self._rows.clear()
        self._inner.hard_close(result, dbapi_cursor)

    def yield_per(self, result: Any, dbapi_cursor: Any, num: int) -> None:
        """
        Let the wrapped strategy be replaced by a buffering one, and wrap that.
        """
        self._inner.yield_per(result, dbapi_cursor, num)
        if result.cursor_strategy is not self:
            self._inner = result.cursor_strategy
            result.cursor_strategy = self

    def fetchone(
        self,
        result: Any,
        dbapi_cursor: Any,
        hard_close: bool = False,  # noqa: FBT001, FBT002 - SQLAlchemy's signature
    ) -> Any:
        """
        Hand out a row, or fetch one.
        """
        if self._rows:
            return self._rows.popleft()
        self._meet_error(result, dbapi_cursor)
        return self._inner.fetchone(result, dbapi_cursor, hard_close)

    def fetchmany(self, result: Any, dbapi_cursor: Any, size: int | None = None) -> Any:
        """
        Hand out some rows, and fetch those that are missing.
        """
        wanted = dbapi_cursor.arraysize if size is None else size
        rows = [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]
        if len(rows) == wanted or (rows and self._error is not None):
            return rows
        self._meet_error(result, dbapi_cursor)
        rows += self._inner.fetchmany(result, dbapi_cursor, wanted - len(rows))
        return rows

    def fetchall(self, result: Any, dbapi_cursor: Any) -> Any:
        """
        Hand out the rows, and fetch the remaining ones.
        """
        self._meet_error(result, dbapi_cursor)
        rows = list(self._rows)
        rows += self._inner.fetchall(result, dbapi_cursor)
        return rows

    def _meet_error(self, result: Any, dbapi_cursor: Any) -> None:
        error, self._error = self._error, None
        if error is not None:
            self._rows.clear()
            self.handle_exception(result, dbapi_cursor, error)

    def handle_exception(
        self, result: Any, dbapi_cursor: Any, err: BaseException
    ) -> Any:
        """
        Raise as the wrapped strategy does.
        """
        self._inner.handle_exception(result, dbapi_cursor, err)

"""
Rows that were read before their caller asked for them, because others wait.

They are handed out first; then the cursor goes on where reading ahead stopped, or
the error comes that stopped it. To the caller it is one result.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from yokedcache.sqlalchemy.answers.fetching import WrappedFetch
from yokedcache.stores.frames import without_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import CursorResult
    from sqlalchemy.engine.cursor import ResultFetchStrategy


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
        without_frames(met)  # they have what will hold it
        tape.abandon("error")
    except BaseException:
        tape.abandon("error")
        raise
    tape.complete()
    result.cursor_strategy = _Ahead(result.cursor_strategy, rows, error)


class _Ahead(WrappedFetch):
    """
    A fetch strategy that hands out rows at hand before it asks the cursor.
    """

    __slots__ = ("_error", "_rows")

    def __init__(
        self, inner: ResultFetchStrategy, rows: deque[Any], error: Exception | None
    ) -> None:
        super().__init__(inner)
        self._rows = rows
        self._error = error

    def give_way(self, most: int | None) -> list[Any]:
        """
        Give rows at hand.
        """
        number = len(self._rows) if most is None else min(most, len(self._rows))
        return [self._rows.popleft() for _ in range(number)]

    def closing(self, dbapi_cursor: Any) -> None:  # noqa: ARG002
        """
        Let go of the rows.
        """
        self._rows.clear()

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
            try:
                self.handle_exception(result, dbapi_cursor, error)
            finally:
                del error

"""
Recordings: the raw rows of one statement, taken down and played again.

`record` stands between a result and its cursor and notes rows as the caller
fetches them, whatever way it fetches; a result that grows past the limits, is
closed early or fails is forgotten, and goes on at its own cost. `replay`
builds a result over a recording, on the context that `offline.prepare` made,
so that SQLAlchemy's own loaders do the rest.

A recording holds plain data only: nothing of a live execution (context,
cursor, connection, result) can be reached from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import CursorResult
from sqlalchemy.engine.cursor import (
    CursorFetchStrategy,
    FullyBufferedCursorFetchStrategy,
)

from yokedcache.sqlalchemy.answers.ahead import read_ahead
from yokedcache.sqlalchemy.answers.fetching import WrappedFetch
from yokedcache.sqlalchemy.answers.recordings import (
    IMMUTABLE,
    Recording,
    Unisolated,
    copied,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine.cursor import ResultFetchStrategy

    from yokedcache.sqlalchemy.answers.offline import Prepared

__all__ = ["MAX_BYTES", "MAX_ROWS", "Recording", "record", "replay"]

MAX_ROWS = 10_000
MAX_BYTES = 1 << 20

_CELL = 32
"""What a cell is taken to weigh beside its text or bytes."""

_SIZED = frozenset({str, bytes})


def replay(
    prepared: Prepared, recording: Recording, *, again: bool = False
) -> CursorResult[Any]:
    """
    Build the result that an execution returning these rows would have given.

    A second result of one statement needs a context of its own: `again`.
    """
    context = prepared.another_context() if again else prepared.context
    context.cursor.rowcount = recording.rowcount  # type: ignore[misc]
    if context.execution_options.get("preserve_rowcount", False):
        context._rowcount = recording.rowcount
    description: Any = recording.cursor_description
    strategy = FullyBufferedCursorFetchStrategy(
        None, description, recording.isolated_rows()
    )
    context.cursor.play(description, strategy._rowbuffer)
    return CursorResult(context, strategy, description)


def record(
    result: CursorResult[Any],
    *,
    on_complete: Callable[[Recording], None],
    on_abandon: Callable[[str], None],
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    drain: int = 0,
    ahead: int = 0,
    on_fetch: Callable[[], None] | None = None,
) -> CursorResult[Any]:
    """
    Take down the rows of `result` as its caller fetches them.

    When the caller closes it early, up to `drain` more rows are fetched to see
    whether that was the end after all. With `ahead` they are fetched and taken down
    now, that many at a time, without waiting for the caller. `on_fetch` is called
    when the caller begins to fetch all that remain.

    Exactly one of the callbacks is called, once, when the last row was fetched
    or it became certain that the recording will not be whole; neither for a
    result that is dropped unread.
    """
    cursor: Any = result.cursor
    if result._soft_closed or cursor is None or cursor.description is None:
        on_abandon("no_rows")
        return result
    tape = _Tape(
        tuple((column[0], column[1]) for column in cursor.description),
        result.context.rowcount,
        complete=on_complete,
        abandon=on_abandon,
        max_rows=max_rows,
        max_bytes=max_bytes,
    )
    if ahead and type(result.cursor_strategy) is CursorFetchStrategy:
        read_ahead(result, tape, ahead)
    else:
        result.cursor_strategy = _Tee(result.cursor_strategy, tape, drain, on_fetch)
    return result


class _Tape:
    """
    Rows taken down so far, and what is to be done at their end.
    """

    __slots__ = (
        "_abandon", "_bytes_left", "_complete", "_description", "_rowcount", "_rows",
        "_rows_left", "done",
    )  # fmt: skip

    def __init__(
        self,
        description: tuple[tuple[str, Any], ...],
        rowcount: int,
        *,
        complete: Callable[[Recording], None],
        abandon: Callable[[str], None],
        max_rows: int,
        max_bytes: int,
    ) -> None:
        self._description = description
        self._rowcount = rowcount
        self._complete = complete
        self._abandon = abandon
        self._rows: list[tuple[Any, ...]] = []
        self._rows_left = max_rows
        self._bytes_left = max_bytes
        self.done = False

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """
        Take down rows that are about to be handed to the caller.
        """
        self._rows_left -= len(rows)
        if self._rows_left < 0:
            self.abandon("too_many_rows")
            return
        try:
            self._take(rows)
        except Unisolated:
            self.abandon("uncopyable_value")

    def _take(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            weight = 0
            plain = True
            for cell in row:
                kind = type(cell)
                weight += _CELL
                if kind in _SIZED:
                    weight += len(cell)
                elif kind not in IMMUTABLE:
                    plain = False
                    weight += _weight(cell)
            self._bytes_left -= weight
            if self._bytes_left < 0:
                self.abandon("too_large")
                return
            self._rows.append(tuple(row) if plain else tuple(map(copied, row)))

    def complete(self) -> None:
        """
        Hand the recording over: every row was fetched.
        """
        if not self.done:
            self.done = True
            rows, self._rows = self._rows, []
            self._complete(Recording(self._description, tuple(rows), self._rowcount))

    def abandon(self, reason: str) -> None:
        """
        Forget the rows: the recording can't become whole.
        """
        if not self.done:
            self.done = True
            self._rows = []
            self._abandon(reason)


def _weight(value: Any) -> int:
    """
    Estimate the bytes of a value of no simple type.
    """
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return len(value)
    if isinstance(value, dict):
        return sum(_CELL + _weight(k) + _weight(v) for k, v in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return sum(_CELL + _weight(item) for item in value)
    return _CELL


class _Tee(WrappedFetch):
    """
    A fetch strategy that passes everything on and tells a tape of it.

    The wrapped strategy closes the result itself at the last row; a close that
    comes while a fetch is under way is the end, any other one is early.
    """

    __slots__ = ("_drain", "_ended", "_fetching", "_on_fetch", "_tape")

    def __init__(
        self,
        inner: ResultFetchStrategy,
        tape: _Tape,
        drain: int = 0,
        on_fetch: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(inner)
        self._tape = tape
        self._drain = drain
        self._on_fetch = on_fetch
        self._fetching = False
        self._ended = False

    def give_way(self, most: int | None) -> list[Any]:
        """
        Take no more down: what the app fetches from now on isn't seen.
        """
        self._tape.abandon("raw_connection")
        return super().give_way(most)

    def closing(self, dbapi_cursor: Any) -> None:
        """
        See whether every row had been fetched.
        """
        if self._fetching:
            self._ended = True
        elif not self._tape.done:
            self._see_the_end(dbapi_cursor)

    def _see_the_end(self, dbapi_cursor: Any) -> None:
        if self._drain and type(self._inner) is CursorFetchStrategy:
            try:
                rows = dbapi_cursor.fetchmany(self._drain + 1)
            except Exception:  # noqa: BLE001 - the caller wanted no more of it
                self._tape.abandon("error")
                return
            if len(rows) <= self._drain:
                self._tape.add(rows)
                self._tape.complete()
                return
        self._tape.abandon("closed_early")

    def fetchone(
        self,
        result: Any,
        dbapi_cursor: Any,
        hard_close: bool = False,  # noqa: FBT001, FBT002 - SQLAlchemy's signature
    ) -> Any:
        """
        Fetch a row and take it down.
        """
        if self._tape.done:
            return self._inner.fetchone(result, dbapi_cursor, hard_close)
        row = self._watched(self._inner.fetchone, result, dbapi_cursor, hard_close)
        return self._noted(row, () if row is None else (row,))

    def fetchmany(self, result: Any, dbapi_cursor: Any, size: int | None = None) -> Any:
        """
        Fetch some rows and take them down.
        """
        if self._tape.done:
            return self._inner.fetchmany(result, dbapi_cursor, size)
        rows = self._watched(self._inner.fetchmany, result, dbapi_cursor, size)
        return self._noted(rows, rows)

    def fetchall(self, result: Any, dbapi_cursor: Any) -> Any:
        """
        Fetch the remaining rows and take them down.
        """
        if self._tape.done:
            return self._inner.fetchall(result, dbapi_cursor)
        if self._on_fetch is not None:
            self._on_fetch()
        rows = self._watched(self._inner.fetchall, result, dbapi_cursor)
        return self._noted(rows, rows)

    def _watched(self, fetch: Callable[..., Any], *args: Any) -> Any:
        self._fetching = True
        try:
            return fetch(*args)
        except BaseException:
            self._tape.abandon("error")
            raise
        finally:
            self._fetching = False

    def _noted(self, answer: Any, rows: Sequence[Any]) -> Any:
        if rows:
            self._tape.add(rows)
        if self._ended:
            self._tape.complete()
        return answer

    def handle_exception(
        self, result: Any, dbapi_cursor: Any, err: BaseException
    ) -> Any:
        """
        Forget the recording and raise as the wrapped strategy does.
        """
        self._tape.abandon("error")
        self._inner.handle_exception(result, dbapi_cursor, err)

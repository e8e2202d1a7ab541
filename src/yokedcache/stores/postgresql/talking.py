"""
Talking to a server by libpq, without waiting: generators say what they wait for.

Whoever drives them waits until the connection's socket is readable, writable or either
(`READ`, `WRITE`), sends what it is, and may stop at any time: then a connection that was
asked something is of no use any more, while one that is being opened goes on later.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.pq import (
    ConnStatus,
    ExecStatus,
    PGconn,
    PollingStatus,
    TransactionStatus,
)

from yokedcache.errors import StoreError
from yokedcache.stores.postgresql.faults import CAREFUL, UNMADE, RefusedError
from yokedcache.stores.postgresql.operations import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeAlias

    from psycopg.pq.abc import PGresult

    from yokedcache.stores.postgresql.making import Schema
    from yokedcache.stores.postgresql.operations import Operation

    Waits = Generator[int, int, Any]
    Left: TypeAlias = Callable[[], float]

READ: Final = 1
WRITE: Final = 2

LONGEST: Final = 10.0
"""Seconds that opening a connection takes at most, however many wait for it in turn."""

_SHARE: Final = 0.25
"""The part of its time in which a connection must be open to be asked at once."""

_PATIENCE: Final = 0.9
"""The part of its time for which it may wait for a lock: the rest is for hearing of it."""

_BEGIN: Final = (
    b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
    # whoever is suspended here has a lock that others wait for
    b" SET LOCAL idle_in_transaction_session_timeout = '1s'"
)
_COMMIT: Final = b"COMMIT"
_ROLLBACK: Final = b"ROLLBACK"
_WANTED: Final = {
    PollingStatus.OK: 0,
    PollingStatus.READING: READ,
    PollingStatus.WRITING: WRITE,
}
_FINE: Final = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})


class Link:
    """
    A connection. `wanted` is what opening it waits for; nothing once it is open.
    """

    __slots__ = ("began", "careful", "pg", "used", "wanted")

    def __init__(self, conninfo: bytes) -> None:
        self.pg = PGconn.connect_start(conninfo)
        self.wanted = WRITE
        self.began = time.monotonic()
        self.careful = False
        """Whether changes are put in transactions of our own making."""
        self.used = False
        """Whether it has answered before."""

    @property
    def lost(self) -> bool:
        """
        Whether the connection is broken.
        """
        return self.pg.status == ConnStatus.BAD

    @property
    def fine(self) -> bool:
        """
        Whether it can be asked something else, or goes on being opened.
        """
        if self.wanted:
            return not self.lost and time.monotonic() - self.began < LONGEST
        return self.pg.transaction_status == TransactionStatus.IDLE

    def close(self) -> None:
        """
        Close it, whatever state it is in.
        """
        self.pg.finish()


def follow(link: Link, operation: Operation[Any], schema: Schema, left: Left) -> Waits:
    """
    Do an operation; open the connection first, and make the schema where there is none.

    `left` tells how many seconds there are for all of it.
    """
    if link.wanted:
        limit = left()
        yield from _open(link)
        if left() < limit * (1 - _SHARE):
            raise TimeoutError  # else it would be asked, and closed, again and again
    if not schema.compared:
        schema.compare((yield from _say(link, schema.asking)).get_value(0, 0))
    made = careful = False
    while True:
        try:
            return _made(operation, (yield from _call(link, operation, left)))
        except RefusedError as error:
            if error.code in UNMADE and not made:
                made = True
                yield from _say(link, schema.making)
            elif error.code in CAREFUL and not careful and not link.careful:
                careful = link.careful = True
            else:
                raise


def _made(operation: Operation[Any], row: Any) -> Any:
    try:
        return operation.made(row)
    except (ArithmeticError, TypeError, ValueError, struct.error) as error:
        raise StoreError("what lies there can't be read") from error


def _open(link: Link) -> Waits:
    pg = link.pg
    if link.lost:
        raise psycopg.OperationalError(pg.get_error_message())
    while link.wanted:
        yield link.wanted
        state = PollingStatus(pg.connect_poll())
        if state not in _WANTED:
            raise psycopg.OperationalError(pg.get_error_message())
        link.wanted = _WANTED[state]
    pg.nonblocking = 1


def _call(link: Link, operation: Operation[Any], left: Left) -> Waits:
    """
    Call an operation's function; give the row that comes of it.

    One statement is a transaction of its own, if the role's are as they usually are.
    """
    wrapped = operation.changes and link.careful
    if wrapped:
        yield from _say(link, _BEGIN)
    patience = max(1, round(left() * 1000 * _PATIENCE))
    values = [
        str(patience).encode() if value is PATIENCE else value
        for value in operation.values
    ]
    formats = [int(place in operation.raw) for place in range(len(values))]
    link.pg.send_query_params(operation.call, values, None, formats, 1)
    try:
        result = yield from _answer(link)
    except RefusedError as error:
        if wrapped and not error.ended:
            yield from _say(link, _ROLLBACK)
        raise
    if wrapped:
        yield from _say(link, _COMMIT)
    return [result.get_value(0, column) for column in range(result.nfields)]


def _say(link: Link, statements: bytes) -> Generator[int, int, PGresult]:
    link.pg.send_query(statements)
    return (yield from _answer(link))


def _answer(link: Link) -> Generator[int, int, PGresult]:
    pg = link.pg
    while pg.flush():
        if (yield READ | WRITE) & READ:
            pg.consume_input()
    results: list[PGresult] = []
    while not link.lost or pg.is_busy():
        while pg.is_busy():
            yield READ
            pg.consume_input()
        result = pg.get_result()
        if result is None:
            break
        results.append(result)
    for result in results:
        if result.status not in _FINE:
            raise RefusedError(result)
    if link.lost or not results:
        raise psycopg.OperationalError(pg.get_error_message())
    return results[-1]

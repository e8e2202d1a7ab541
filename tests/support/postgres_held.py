"""
Operations of a store on PostgreSQL whose transactions are held open.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.postgres_stores import Store

_open: list[Held] = []


def close_all() -> None:
    """
    Undo what tests have left open.
    """
    while _open:
        _open.pop().connection.close()


class Held:
    """
    An operation whose transaction is open: done, and seen by nobody yet.
    """

    def __init__(self, store: Store, operation: Any, *, begin: str = "BEGIN") -> None:
        self.connection = store.connect()
        _open.append(self)
        self.connection.execute(begin)
        values = [
            "10000" if value == b"patience" else value for value in operation.values
        ]
        formats = [int(place in operation.raw) for place in range(len(values))]
        result = self.connection.pgconn.exec_params(
            operation.call,
            [v.encode() if isinstance(v, str) else v for v in values],
            None,
            formats,
            1,
        )
        assert result.status == 2, result.error_message
        row = [result.get_value(0, column) for column in range(result.nfields)]
        self.result = operation.made(row)

    def commit(self) -> None:
        with closing(self.connection):
            self.connection.execute("COMMIT")

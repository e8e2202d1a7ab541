"""
The smallest answerer: it remembers every recording and is never wrong about when.

For tests of the seam alone, where nothing is written between the reads that are
compared.
"""

from __future__ import annotations

import pickle
from collections import Counter
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.answers.rows import MAX_BYTES, MAX_ROWS, Recording
from yokedcache.sqlalchemy.answers.statement_calls import Hit

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from yokedcache.sqlalchemy.answers.statement_calls import StatementCall


class Remembering:
    """
    Keeps recordings as bytes, under SQL and parameters.
    """

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.bypasses: list[str] = []
        self.abandoned: list[str] = []
        self.count: Counter[str] = Counter()

    def refuse(self, call: StatementCall) -> str | None:
        return None

    def begin(self, call: StatementCall) -> Any:
        key = repr((call.prepared.sql, call.prepared.parameters))
        if key in self.kept:
            self.count["hit"] += 1
            return Hit(Recording.unpacked(pickle.loads(self.kept[key])))
        self.count["miss"] += 1
        return _Miss(self, key)

    def bypassed(self, call: StatementCall, reason: str) -> None:
        self.bypasses.append(reason)


class _Miss:
    max_rows = MAX_ROWS
    max_bytes = MAX_BYTES

    def __init__(self, owner: Remembering, key: str) -> None:
        self.owner = owner
        self.key = key

    flight = None

    def join(self) -> None:
        return None

    def ahead(self, size: int) -> int:
        return 0

    def resume(self) -> None:
        pass

    def before_read(self, connection: Connection) -> None:
        assert connection.in_transaction() or not connection.closed

    def complete(self, recording: Recording, sql: str, parameters: Any) -> None:
        assert repr((sql, parameters)) == self.key
        self.owner.kept[self.key] = pickle.dumps(recording.packed())

    def abandon(self, reason: str) -> None:
        self.owner.abandoned.append(reason)

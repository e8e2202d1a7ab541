"""
What a transaction sees, and what it may therefore be served and add (rule 6).

A transaction above READ COMMITTED sees the database as it was at one moment. It
notes the store's counter before that moment, so before its first statement is
sent. What holds now, unfenced, under versions that are all at most that note was
not changed from the note until now: it is what the transaction sees, whatever
was committed besides. A note that is too early only costs hits; one that is too
late would be wrong.

Editors: all of this is pure. Who asks a connection what it does is
`sqlalchemy.snapshots`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from yokedcache.core.tags import holds, unfenced

if TYPE_CHECKING:
    from yokedcache.core.tags import Stamp, Vector

STATEMENT_LEVELS: Final = frozenset({"READ COMMITTED", "AUTOCOMMIT"})
"""Levels at which each statement sees what was committed before it."""

_UNCOMMITTED: Final = "READ UNCOMMITTED"
_SNAPSHOTS: Final = frozenset({"REPEATABLE READ", "SNAPSHOT"})


class Sight(enum.Enum):
    """
    What the statements of one transaction see.
    """

    STATEMENT = "statement"  # each one, what was committed before it
    SNAPSHOT = "snapshot"  # all of them, what was committed before the first
    UNCOMMITTED = "uncommitted"  # each one, also what isn't committed
    CHECKED = "checked"  # what they read is checked, or locked, by the database


class Opening(enum.Enum):
    """
    What a transaction may be served that has sent no statement yet.
    """

    FREE = "free"  # whatever is valid
    FLOATING = "floating"  # what was valid at its first hit
    STRICT = "strict"  # nothing: its first read makes its snapshot


class View:
    """
    What one transaction sees, with its note of one store's counter.
    """

    __slots__ = ("note", "sight")

    def __init__(self, sight: Sight, note: int | None = None) -> None:
        self.sight = sight
        self.note = note

    def unservable(self, vector: Vector) -> str | None:
        """
        Name why an entry that is valid now may not answer the transaction.
        """
        if self.sight is Sight.CHECKED:
            return "serializable"
        if self.note is None:
            return "snapshot" if self.sight is Sight.SNAPSHOT else None
        later = any(version > self.note for _, version in vector)
        return "snapshot" if later or not unfenced(vector) else None

    def same(self, vector: Vector) -> bool:
        """
        Tell whether what was just read must be what an entry says.
        """
        return (
            self.sight is not Sight.UNCOMMITTED
            and holds(vector)
            and unfenced(vector)
            and self.unservable(vector) is None
        )

    def unstorable(self, stamp: Stamp) -> str | None:
        """
        Name why what the transaction reads under a stamp may answer nobody else.
        """
        if self.sight is Sight.STATEMENT:
            return None
        if self.sight is Sight.UNCOMMITTED:
            return "read_uncommitted"
        if stamp.fenced and self.sight is Sight.SNAPSHOT:
            return "commit_in_flight"
        return self.unservable(stamp.vector)


FRESH: Final = View(Sight.STATEMENT)
"""What a transaction sees of which each statement is a snapshot of its own."""


def sight_at(level: str | None, *, deferred: bool = False) -> Sight:
    """
    Tell what a transaction at an isolation level sees.

    SERIALIZABLE must be seen to read, or the database couldn't check what it read;
    but not if it is `deferred` (read only and deferrable): then nothing is checked.
    """
    if level in STATEMENT_LEVELS:
        return Sight.STATEMENT
    if level == _UNCOMMITTED:
        return Sight.UNCOMMITTED
    if level in _SNAPSHOTS or (level == "SERIALIZABLE" and deferred):
        return Sight.SNAPSHOT
    return Sight.CHECKED


def opening_at(level: str | None, *, native: str | None, chosen: bool) -> Opening:
    """
    Tell what may be served before the first statement is sent at a level.

    A database's own default (`native`) that nobody has `chosen` is no promise that
    an application relies on; a level that somebody chose is one, and with a
    floating snapshot an update could overwrite what was committed after a hit.
    """
    if level is None or level in STATEMENT_LEVELS or level == _UNCOMMITTED:
        return Opening.FREE
    if level == native and level in _SNAPSHOTS and not chosen:
        return Opening.FLOATING
    return Opening.STRICT

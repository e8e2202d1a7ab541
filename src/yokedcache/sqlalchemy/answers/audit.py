"""
A cache that audits itself: a share of its hits is asked of the database again.

Both answers are compared at a comparable moment: the entry's versions still hold,
unfenced, after the rows were fetched, so no commit on what it depends on began
meanwhile that this process knows of; where a store is shared, it is asked whether
anybody does. If they differ, a write didn't reach the entry
that should have: the statement's shape is quarantined (its statements go to the
database from then on), and the log names the writes that its answer was older than.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from yokedcache.runtime.clocks import draw
from yokedcache.runtime.forks import Guard
from yokedcache.runtime.log import logger

if TYPE_CHECKING:
    from yokedcache.core.entry import Entry
    from yokedcache.machine import Machine
    from yokedcache.sqlalchemy.answers.playing import Kept
    from yokedcache.sqlalchemy.answers.recordings import Recording

_MOST_WRITES: Final = 5
"""Writes that one line of the log names."""


def audit_of(machine: Machine) -> Audit:
    """
    Give the audit of a cache.
    """
    if machine.audit is None:
        machine.audit = Audit(machine)
    audit: Audit = machine.audit
    return audit


class Audit:
    """
    The audits of one cache.
    """

    def __init__(self, machine: Machine) -> None:
        self.checks = 0
        """Hits that were asked of the database again, and compared."""
        self.differences: Counter[str] = Counter()
        """Answers that differed, by their SQL."""
        self._machine = machine
        self._share = machine.settings.verify
        self._guard = Guard()

    @property
    def on(self) -> bool:
        """
        Tell whether any hits are audited.
        """
        return self._share > 0

    def due(self) -> bool:
        """
        Draw whether the next hit is audited.
        """
        share = self._share
        return share > 0 and (share >= 1 or draw() < share)

    def quarantined(self, sql: str) -> bool:
        """
        Tell whether answers of a shape were wrong before.
        """
        return sql in self.differences

    def compare(self, sql: str, entry: Entry, found: Recording) -> None:
        """
        Compare what was kept with what the database says now, if it still stands.
        """
        if not self._machine.store.stands_here(entry):
            return
        kept: Kept = entry.value
        same = alike(kept.recording, found)
        with self._guard:
            self.checks += 1
            if same:
                return
            self.differences[sql] += 1
        logger.warning(
            "an answer kept since %.1f s differs from the database's: its statements "
            "are not cached any more. Please report it, or say what wrote "
            "(cache.touches, cache.wrote, invalidate_database).\n  statement: %s\n"
            "  depends on: %s\n  written meanwhile: %s",
            self._machine.clock() - entry.born,
            sql,
            ", ".join(str(tag.name) for tag, _ in entry.vector),
            self._written_since(entry) or "nothing that is known of here",
        )

    def _written_since(self, entry: Entry) -> str:
        """
        Name the last writes to what an answer was not known to depend on.
        """
        known = {tag.name for tag, _ in entry.vector}
        causes = self._machine.causes.since(entry.born)
        told = dict.fromkeys(str(cause) for name, cause in causes if name not in known)
        return "; ".join(list(told)[:_MOST_WRITES])


def alike(kept: Recording, found: Recording) -> bool:
    """
    Tell whether two recordings hold the same rows, in whatever order.

    A database may give the rows of one statement in another order each time, unless
    the statement says in which.
    """
    if len(kept.rows) != len(found.rows):
        return False
    if _equal(kept.rows, found.rows):
        return True
    return Counter(map(_spelt, kept.rows)) == Counter(map(_spelt, found.rows))


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - values of the app's own may refuse to compare
        return False


def _spelt(row: tuple[Any, ...]) -> str:
    return repr([bytes(cell) if isinstance(cell, memoryview) else cell for cell in row])

"""
What a session was served before its transaction sent a statement.

Where an application relies on no snapshot in particular (a database's own
default level is above READ COMMITTED), the snapshot floats: the first hit notes
the counters, later ones obey them. When the first statement is sent, the database
makes its snapshot, and what was served should still hold then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from yokedcache.core.snapshots import Sight, View
from yokedcache.core.tags import holds
from yokedcache.machine import machines
from yokedcache.runtime.log import once
from yokedcache.sqlalchemy.transactions.outlook import moment

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from yokedcache.core.tags import Tag, Vector
    from yokedcache.sqlalchemy.transactions.outlook import Moment
    from yokedcache.stores.memory import MemoryStore

_PLACE = "_yokedcache_floating"
STATEMENTS = "statements"
"""The tally of statements through attached sessions."""


class Floating:
    """
    The note of one session's transaction, and the versions that it was served.
    """

    __slots__ = ("note", "seen", "transaction")

    def __init__(self, transaction: ref[Any] | None) -> None:
        self.transaction = transaction
        self.note: Moment = moment()
        self.seen: dict[MemoryStore, dict[Tag, int]] = {}

    def view(self, store: MemoryStore) -> View:
        """
        Give what the transaction may be served from a store.
        """
        return View(Sight.SNAPSHOT, self.note.get(store, -1))

    def saw(self, store: MemoryStore, vector: Vector) -> None:
        """
        Note what an answer that was served depends on.
        """
        self.seen.setdefault(store, {}).update(vector)

    def check(self) -> None:
        """
        Count it if what was served no longer holds: the snapshot is made by now.

        What was served can't be taken back. It was right when it was served, what
        follows comes of the one snapshot, and nothing that mixes the two is kept.
        """
        for machine in machines():
            if not holds(tuple(self.seen.get(machine.store, {}).items())):
                machine.tally(STATEMENTS).bypass("snapshot_skew")
                once(
                    "snapshot_skew",
                    "",
                    "a transaction was answered from the cache, and what it had read "
                    "was changed before its first statement made its snapshot; set "
                    "isolation_level on the engine to have that statement come first",
                )


def floating(session: Session) -> Floating:
    """
    Give the record of a session's transaction, beginning it if there is none.
    """
    kept: Floating | None = session.__dict__.get(_PLACE)
    root = _root(session)
    if kept is None or (
        kept.transaction is not None
        and (root is None or kept.transaction() is not root)
    ):
        kept = session.__dict__[_PLACE] = Floating(None if root is None else ref(root))
    elif kept.transaction is None and root is not None:
        kept.transaction = ref(root)
    return kept


def float_of(session: Session) -> Floating | None:
    """
    Give the record of what a session was served in this transaction, if it was.
    """
    return floating(session) if _PLACE in session.__dict__ else None


def _root(session: Session) -> Any:
    transaction: Any = session._transaction
    while transaction is not None and transaction._parent is not None:
        transaction = transaction._parent
    return transaction

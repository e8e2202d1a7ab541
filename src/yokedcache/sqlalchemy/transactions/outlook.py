"""
What the current transaction of one DBAPI connection sees, as far as it is known.

The note of every store's counter that rule 6 asks for, the isolation levels that
the server told, and on SQLite the results that may keep the connection at an
older state. Who asks the connection is `snapshots`; here is what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from yokedcache.core.snapshots import Sight
from yokedcache.machine import machines

if TYPE_CHECKING:
    from collections.abc import Hashable

    from yokedcache.sqlalchemy.transactions.floating import Floating
    from yokedcache.stores.memory import MemoryStore

Moment = dict["MemoryStore", int]
"""The counters of all stores, as they were at one moment."""


def moment() -> Moment:
    """
    Note the counters of all caches of the process.
    """
    return {store: store.tags.counter for store in [m.store for m in machines()]}


class Outlook:
    """
    Note, sight and levels of a connection.
    """

    def __init__(self) -> None:
        self.note: Moment | None = None
        """Taken before the transaction's first statement; `None` before that."""
        self.changes = 0
        """How often the catalogue had changed when the note was taken, if known."""
        self.sight: Sight | None = None
        """What the transaction sees, if anybody asked."""
        self.levels: dict[Hashable, Sight] = {}
        """What the server said, by what SQLAlchemy had been told."""
        self.queried = False
        """Whether the transaction has read or written: its snapshot is made."""
        self.floats: list[Floating] = []
        """What the sessions were served that are about to send a first statement."""
        self._queries = False
        self._unsettled = False
        self._ending: Moment | None = None
        self._held: list[MemoryStore] = []
        self._watched: list[MemoryStore] = []
        self._executions: list[ref[Any]] = []
        self._pinned: Moment = {}

    def __del__(self) -> None:
        self.let_go()

    def take_note(self, changes: int) -> None:
        """
        Note the counters: a transaction's first statement is about to be sent.

        A result that is still open may keep it at what was before.
        """
        if self._open_results():
            self._end(self._pinned, -1)
        else:
            self._end(moment(), changes)

    def see(self, sight: Sight) -> None:
        """
        Keep what the transaction sees, and cached functions from answers beyond it.
        """
        if self.sight is sight:
            return
        self.let_go()
        self.sight = sight
        if sight is Sight.SNAPSHOT and self.note is not None:
            for store, note in self.note.items():
                store.hold(note)
                self._held.append(store)
        elif sight is Sight.CHECKED:
            for machine in machines():
                machine.store.watch()
                self._watched.append(machine.store)

    def ask_again(self) -> None:
        """
        Forget what the server said: a statement may have changed it.

        What was read of a transaction that checks its reads stays to be checked.
        """
        self._unsettled = True
        self.levels.clear()
        if self.sight is not Sight.CHECKED or not self.queried:
            self.let_go()
            self.sight = None

    def remember(self, level: Hashable, sight: Sight) -> bool:
        """
        Keep what the server said, unless it holds for this transaction alone.
        """
        if not self._unsettled:
            self.levels[level] = sight
        return not self._unsettled

    def about_to_query(self) -> None:
        """
        Note that a statement is about to be sent that makes a snapshot.
        """
        self._queries = True

    def about_to_end(self) -> None:
        """
        Note the counters: a statement may end one transaction and begin another.
        """
        self._ending = moment()

    def sent(self) -> None:
        """
        Note that a statement was sent: it has made a snapshot, or ended one.
        """
        if self._ending is not None:
            note, self._ending = self._ending, None
            self._end(note, -1)
        elif self._queries:
            self._queries, self.queried = False, True
        if self.floats and self.queried:
            floats, self.floats = self.floats, []
            for kept in floats:
                kept.check()

    def failed(self, context: Any) -> None:
        """
        Note that a statement failed: what it should have ended may go on.

        Its cursor is closed, however long the error keeps its execution alive.
        """
        self._ending = None
        self._queries = False
        if context is not None and self._executions:
            kept = [one for one in self._executions if one() is not context]
            self._executions = kept

    def end(self) -> None:
        """
        Forget a transaction that the driver has ended.
        """
        self._end(None, 0)

    def rest(self) -> None:
        """
        Note that the connection lies in its pool, where its transaction may go on.
        """
        self.let_go()
        self.sight = None
        self.floats.clear()

    def let_go(self) -> None:
        """
        Let cached functions be answered the short way again.
        """
        held, self._held = self._held, []
        watched, self._watched = self._watched, []
        for store in held:
            store.let_go()
        for store in watched:
            store.unwatch()

    def note_execution(self, context: Any) -> None:
        """
        Note that a statement is about to be sent, whose result may be left open.
        """
        if not self._open_results():
            self._pinned = self.note or {}
        self._executions.append(ref(context))

    @property
    def pinned(self) -> Moment | None:
        """
        Give the moment at which a result still held may keep SQLite, if any was bumped.

        An open cursor pins a snapshot of the whole file, also for what is opened
        after it. Whether one is open can't be asked, so a result that lives counts.
        """
        if not self._executions or not self._open_results():
            return None
        return None if self._pinned == moment() else self._pinned

    def _open_results(self) -> bool:
        if self._executions:
            self._executions = [kept for kept in self._executions if kept() is not None]
        return bool(self._executions)

    def _end(self, note: Moment | None, changes: int) -> None:
        if self._held or self._watched:
            self.let_go()
        self.note = note
        self.changes = changes
        self.sight = None
        self.queried = False
        if self._unsettled:
            self._unsettled = False
            self.levels.clear()

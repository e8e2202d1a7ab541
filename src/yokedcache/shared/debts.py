"""
What one shared store is still to be told by this process, in the order in which it arose.

With a journal it is on the disk before the commit is sent that it stands for, and what
processes have left that are no more is told as well.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from yokedcache.core.tags import Fence
from yokedcache.errors import StoreError
from yokedcache.runtime.log import logger, once

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.shared.fencing import SharedFence
    from yokedcache.shared.journal import Journal, Page
    from yokedcache.shared.server import Server
    from yokedcache.stores.answers import Operation


class Note(NamedTuple):
    """
    Where the journal says that something is owed.
    """

    page: Page
    number: int

    def strike(self) -> None:
        """
        Say that it was told.
        """
        self.page.told(self.number)


class Debt(NamedTuple):
    """
    A fence to be lifted, or an operation that bumps tags.

    It is one operation, however often it is tried: a part of the store that was told
    needn't be told again.
    """

    what: SharedFence | Operation[bytes]
    note: Note | None = None
    left: Page | None = None
    """The file of a process that is no more, if all in there is meant."""


class Debts:
    """
    What is owed, and how it is told.

    Args:
        settled: takes a fence down in this process.
    """

    def __init__(
        self,
        server: Server,
        settled: Callable[[SharedFence], None],
        journal: Journal | None,
    ) -> None:
        self._server = server
        self._settled = settled
        self._journal = journal
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._settling = threading.Lock()
        self._owed: list[Debt] = []

    def begin_anew(self) -> None:
        """
        Leave all to the parent, in a forked child.
        """
        for debt in self._owed:
            if debt.left is not None:
                debt.left.abandon()
        self._begin()
        if self._journal is not None:
            self._journal.begin_anew()

    def __len__(self) -> int:
        return len(self._owed)

    def note(self, names: tuple[str, ...]) -> Note | None:
        """
        Write down that tags are to be bumped, for others if this process dies.
        """
        if self._journal is None:
            return None
        try:
            page = self._journal.page()
            return Note(page, page.owe(names))
        except OSError as error:
            once(
                "journal",
                "failed",
                "what the shared store is still to be told can't be written down, so it "
                "is kept in memory alone: %s",
                str(error),
            )
            return None

    def add(
        self, what: SharedFence | Operation[bytes], note: Note | None = None
    ) -> None:
        """
        Owe the shared store something.
        """
        with self._lock:
            self._owed.append(Debt(what, note))

    def take_over(self) -> bool:
        """
        Owe what processes have left that are no more; tell whether there was any.
        """
        pages = self._journal.left() if self._journal is not None else []
        for page in pages:
            each = [name for names in page.owed.values() for name in names]
            names = self._server.universal.written(each)
            bump = self._server.commands.bump(names)
            with self._lock:
                self._owed.append(Debt(bump, left=page))
        if pages:
            logger.warning(
                "%d processes are no more that owed the shared store an announcement: "
                "it is told now",
                len(pages),
            )
        return bool(pages)

    def settle(self) -> bool:
        """
        Say what is owed; tell whether all of it was said.
        """
        with self._settling:  # a thread does it, and whoever closes the cache
            while self._owed:
                if not self._tell_each():
                    return False
                if not self._owed:  # it can be told: so can what others have left
                    self.take_over()
        return True

    def _tell_each(self) -> bool:
        all_told = True
        for debt in list(self._owed):
            try:
                self._say(debt.what)
            except StoreError as error:
                if not error.facts.get("partly"):
                    return False
                all_told = False  # others are owed to parts of the store that answer
                continue
            self._strike(debt)
            with self._lock:
                self._owed.remove(debt)
        return all_told

    def close(self) -> None:
        """
        Let the files go: what is still owed stays in them.
        """
        for debt in self._owed:
            if debt.left is not None:
                debt.left.close()
        if self._journal is not None:
            self._journal.close()

    def _say(self, what: SharedFence | Operation[bytes]) -> None:
        if not isinstance(what, Fence):
            self._server.perform(what)
        elif what.raised is not None:
            self._server.perform(self._server.commands.lift(what.raised))

    def _strike(self, debt: Debt) -> None:
        if debt.left is not None:
            debt.left.owed.clear()
            debt.left.close()
        if debt.note is not None:
            debt.note.strike()
        if isinstance(debt.what, Fence) and debt.what.up:
            self._settled(debt.what)

"""
Fences that every process sees, for as long as their writer lives, and no longer.

A fence is raised before a commit and lifted after it (rule 2). A commit that takes long
has its fence vouched for again and again (rule 4), and what the shared store couldn't be
told is said once it can be: both by a thread that is only there while there is need.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.tags import Fence
from yokedcache.errors import StoreError
from yokedcache.runtime.log import once
from yokedcache.shared.debts import Debts
from yokedcache.shared.orphans import Orphans
from yokedcache.stores.answers import BORN, RaisedFence
from yokedcache.stores.contract import Saying
from yokedcache.stores.versions import MARK, word

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from yokedcache.core.tags import Tag
    from yokedcache.shared.debts import Note
    from yokedcache.shared.journal import Journal
    from yokedcache.shared.server import Server
    from yokedcache.stores.answers import Operation, Said, TagState

SOONEST: Final = 0.1
"""Seconds after which what is owed is tried again, at first; doubled up to `LATEST`."""
LATEST: Final = 0.25
UNFOLDED: Final = 32
"""So many commits a process leaves to others to be folded (`stores.contract.Saying`)."""
_TOKEN_BYTES: Final = 9
_IDLE: Final = 30.0


class SharedFence(Fence):
    """
    A fence in this process, and the one in the shared store that goes with it.
    """

    __slots__ = (
        "__weakref__",
        "lock",
        "mark",
        "names",
        "note",
        "over",
        "owner",
        "raised",
        "said",
    )

    def __init__(
        self, tags: tuple[Tag, ...], names: tuple[str, ...], owner: str = ""
    ) -> None:
        super().__init__(tags)
        self.names = names
        self.owner = owner
        self.raised: RaisedFence | None = None
        self.note: Note | None = None
        """What the journal says of it, if it couldn't be raised."""
        self.lock = threading.Lock()
        self.mark = b""
        """The incarnation in which it was raised."""
        self.said = False
        """Its transaction tells the shared store by itself, if it is committed."""
        self.over = False
        """Its commit has ended: nobody may vouch for it any more."""


class Fencing:
    """
    The fences of one shared store, and what it is still to be told.

    Args:
        settled: takes a fence down in this process.
        refuse: a commit that can't be announced mustn't be sent.
        journal: keeps what is owed, should this process die.
        grace: seconds after which a fence falls that nobody vouches for any more.
    """

    def __init__(
        self,
        server: Server,
        settled: Callable[[Fence], None],
        *,
        refuse: bool,
        grace: float,
        journal: Journal | None = None,
    ) -> None:
        self._server = server
        self._settled = settled
        self._refuse = refuse
        self._grace = grace
        self._debts = Debts(server, settled, journal)
        self._says = isinstance(server.commands, Saying)
        self.said = 0
        """How many commits told the shared store by themselves."""
        self._begin()
        server.recovered = self._try_now
        if self._debts.take_over():
            # others' commits that nobody was told of: nothing is served before
            server.distrust()
            self._work()

    def begin_anew(self) -> None:
        """
        Forget all: in a forked child none of it is its own.
        """
        self._debts.begin_anew()
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._raised: set[SharedFence] = set()
        self._wake = threading.Event()
        self._closed = False
        self._orphans = Orphans(self._server)
        self._thread: threading.Thread | None = None

    @property
    def owed(self) -> int:
        """
        Tell how many announcements the shared store is still to be told.
        """
        return len(self._debts)

    def say(
        self, fence: SharedFence, mark: bytes, carry: Callable[[Said], bool]
    ) -> bool:
        """
        Have a transaction tell the shared store itself; tell whether it will.

        Nothing is to be raised or lifted there, then, and nothing can be owed.
        """
        if not (self._says and mark and fence.names):
            return False
        commands: Any = self._server.commands
        fence.said = carry(commands.say(fence.names, mark))
        return fence.said

    def raise_fence(self, fence: SharedFence) -> None:
        """
        Bump and fence in the shared store: a commit is about to be sent.

        Raises:
            StoreError: that can't be done, and commits are refused then.
        """
        if not fence.names:
            return
        commands = self._server.commands
        token = word(secrets.token_bytes(_TOKEN_BYTES))
        # if the answer is lost, the fence may be up: it is lifted in any case
        tags = commands.tags(fence.names)
        fence.raised = RaisedFence(tags, token, fence.owner, b"")
        try:
            raised = self._server.announce(commands.fence(tags, token, fence.owner))
        except BaseException as error:
            if not isinstance(error, StoreError):  # cancelled: it may be up
                fence.over = True
                self._owe(fence)
                raise
            if self._refuse:
                self.lift(fence, settle=False)
                raise
            once(
                "unannounced",
                "",
                "a commit is sent though the shared store can't be told before: %s",
                str(error),
            )
            # a fence that is up stands for a lease longer than its writer: this one not
            fence.note = self._debts.note(fence.names)
        else:
            fence.mark = raised.version[:MARK]
            with self._lock:
                self._raised.add(fence)
            self._work()

    def lift(self, fence: SharedFence, *, settle: bool = True) -> None:
        """
        Bump and lift in the shared store, then in this process.

        If the shared store can't be told, it is owed that, and the fence stays up here.
        """
        with fence.lock:  # whoever vouches for it just now comes before
            if fence.over:
                return
            fence.over = True
        with self._lock:
            self._raised.discard(fence)
        try:
            if fence.raised is not None:
                self._server.announce(self._server.commands.lift(fence.raised))
        except BaseException as error:
            self._owe(fence, fence.note)
            if not isinstance(error, StoreError):
                raise
            return
        if fence.note is not None:
            fence.note.strike()
        if settle:
            self._settled(fence)
        if fence.said:
            self._count_said()

    def _count_said(self) -> None:
        """
        Have folded what was said, now and then: it may be that nobody here reads.
        """
        with self._lock:
            self.said += 1
            due = self.said % UNFOLDED == 0
        if due:
            commands: Any = self._server.commands
            with suppress(StoreError):  # others will
                self._server.here(commands.fold())

    def bumping(self, names: tuple[str, ...]) -> Generator[Any, Any, None]:
        """
        Bump tags in the shared store, or owe it that.
        """
        bump = self._server.commands.bump(names)
        try:
            yield from self._server.insisting(bump)
        except BaseException as error:
            self._owe(bump, self._debts.note(names))
            if not isinstance(error, StoreError):
                raise

    def adopting(
        self, names: Iterable[str], states: Iterable[TagState], now: float
    ) -> Generator[Operation[Any], Any, None]:
        """
        Take down what others left up: their writer died, or is cut off (rule 4).

        Whose lease has run out is asked for; who can't be, is waited for.
        """
        for name, state in zip(names, states, strict=True):
            for fence in state.fences:
                if fence.token == BORN or now <= fence.deadline:
                    continue
                if fence.owner and now <= fence.deadline + self._grace:
                    self._orphans.meet(fence.token, fence.owner, name)
                elif now > fence.deadline + self._grace:
                    once(
                        "adopted",
                        name,
                        "nobody vouches any more for a commit that was to change %r, so "
                        "it is taken to be over",
                        name,
                    )
                    with suppress(StoreError):
                        yield self._server.commands.adopt(
                            (name,), fence.token, grace=self._grace
                        )

    def close(self) -> None:
        """
        Say what is owed, once, and work no more.
        """
        if self._debts:
            self._debts.settle()
        self._closed = True
        self._orphans.close()
        self._debts.close()
        self._wake.set()

    def _owe(
        self, what: SharedFence | Operation[bytes], note: Note | None = None
    ) -> None:
        self._debts.add(what, note)
        once(
            "owed",
            "",
            "the shared store couldn't be told of a change; it is told as soon as it can be",
        )
        self._work()

    def _try_now(self) -> None:
        """
        The store answers again: tell it what is owed, by those as well who are no more.
        """
        if self._debts.take_over() or self._debts:
            self._work()

    def _work(self) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                if self._debts:
                    self._wake.set()
                return
            self._thread = threading.Thread(
                target=self._run, name="yokedcache-fences", daemon=True
            )
            with suppress(RuntimeError):  # as many as may be: the next need tries again
                self._thread.start()

    def _run(self) -> None:
        pause, idle = SOONEST, 0.0
        while not self._is_over(idle):
            waited = pause if self._debts else self._server.lease / 3
            if self._wake.wait(waited):
                self._wake.clear()
                pause = SOONEST
            idle = 0.0 if self._raised or self._debts else idle + waited
            self._vouch()
            done = self._debts.settle() if self._debts else True
            pause = SOONEST if done else min(LATEST, 2 * pause)

    def _is_over(self, idle: float) -> bool:
        """
        Tell whether the thread has nothing left to do, so that the next need begins one.
        """
        with self._lock:
            needed = self._raised or self._debts or idle < _IDLE
            if needed and not self._closed:
                return False
            if self._thread is threading.current_thread():
                self._thread = None
            return True

    def _vouch(self) -> None:
        with self._lock:
            fences = list(self._raised)
        for fence in fences:
            with fence.lock:
                if fence.over or fence.raised is None:
                    continue
                try:
                    self._server.perform(self._server.commands.renew(fence.raised))
                except StoreError as error:
                    if not error.facts.get("partly"):
                        return

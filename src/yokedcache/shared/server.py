"""
The way to a shared store: what is asked of its client, and for how long.

Whoever has to wait in the middle of blocking code does so *here*: a thread waits, a
greenlet of SQLAlchemy's `AsyncSession` lets its loop go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from yokedcache.core.breaker import Breaker
from yokedcache.core.doubt import Doubt
from yokedcache.errors import StoreError
from yokedcache.runtime.drive import run
from yokedcache.runtime.log import own_fault
from yokedcache.runtime.switching import awaited, in_greenlet
from yokedcache.shared.resting import Rest
from yokedcache.shared.saying import Outage, say
from yokedcache.shared.tagging import Universal
from yokedcache.stores.contract import Parted
from yokedcache.stores.frames import without_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from yokedcache.stores.answers import Operation
    from yokedcache.stores.contract import Client

T = TypeVar("T")

CHANGES: Final = frozenset({"fence", "lift", "renew", "bump"})
"""What others must be told, where a look-up may as well be left out."""

_MEASURES: Final = "measure"
"""What is asked instead of a look-up, and says nothing of whether those succeed."""

_LOOKS: Final = frozenset({"read", "exists", "claim", "follow", _MEASURES})

_SPARED: Final = frozenset({"adopt", "follow", _MEASURES, "stamp", "store"})
"""What a server that refuses it may go on without: it answers look-ups as before."""

_AGAIN: Final = 0.05
"""Seconds after which an announcement is tried again whose way was lost."""
_FOR_GOOD: Final = frozenset(
    {"NOPERM", "NOAUTH", "WRONGPASS", "CROSSSLOT", "OTHERSERVERS", "NOSCRIPTS"}
)
"""Refusals that don't go away while a commit waits."""

_WITHOUT: Final = "NOSCRIPTS"
"""The refusal of a server that does nothing that needs a script, and so keeps nothing."""

_UNFIT: Final = 30.0
"""Seconds for which such a server is left alone, but for changes: it may be set otherwise."""

_WAITED: Final = 0.3
"""The part of `store_timeout` that a failure takes at least which was waited for."""

_INSISTED: Final = 0.5
"""The part of `announce_timeout` without an answer that makes an outage of one failure."""


class Server:
    """
    One shared store, as this process reaches it.
    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        ticket: Callable[[], float],
        *,
        lease: float,
        limit: float,
        patience: float,
    ) -> None:
        self.client = client
        self.commands = client.commands
        self.universal = Universal(client.commands)
        self.lease = lease
        self.failures = 0
        self.recovered: Callable[[], None] = lambda: None
        """Called when the store answers again after an outage."""
        self._clock = clock
        self._ticket = ticket
        self._limit = limit
        self._patience = patience
        # a look-up is given up early, an announcement is not: each has its own; so has
        # what is stored, which may be too large to be sent in time
        self._asking = Breaker(clock)
        self._storing = Breaker(clock)
        self._announcing = Breaker(clock)
        self._doubt = Doubt(clock, insisted=_INSISTED * patience)
        self._given_up = False
        """A change was insisted on in vain, and nothing was answered since."""
        self._outage = Outage()
        self._unfit_until = 0.0
        """When a server is asked again that refuses what nothing goes without."""

    @property
    def state(self) -> str:
        """
        Tell how the store is used by now, as `Stats.store` has it.
        """
        if self._asking.failing or self._unfit:
            return "left_alone"
        if self._doubt.holds:
            return "not_relied_on"
        if isinstance(self.client, Parted) and self.client.partly:
            return "partly_asked"
        return "takes_nothing" if self._storing.failing else "asked"

    @property
    def _unfit(self) -> bool:
        return bool(self._unfit_until) and self._clock() < self._unfit_until

    def perform(self, operation: Operation[T]) -> T:
        """
        Do an operation in the calling thread.

        Raises:
            StoreError: it can't be done, or nothing is asked for now.
        """
        breaker, limit = self._admit(operation)
        operation.sent = self._ticket()
        began = self._clock()
        try:
            result = self.client.perform(operation, limit)
        except StoreError as error:
            self._failed(operation, breaker, error)
            raise
        except Exception as error:
            raise self._fault(operation, breaker, error) from error
        self._answered(operation, breaker, began)
        if self._doubt.until:
            self._rely(operation)
        return result

    async def perform_async(self, operation: Operation[T]) -> T:
        """
        Do an operation in the running event loop.

        Raises:
            StoreError: it can't be done, or nothing is asked for now.
        """
        breaker, limit = self._admit(operation)
        began = self._clock()
        try:
            result = await self.client.perform_async(operation, limit)
        except StoreError as error:
            self._failed(operation, breaker, error)
            raise
        except Exception as error:
            raise self._fault(operation, breaker, error) from error
        self._answered(operation, breaker, began)
        if self._doubt.until:
            self._rely(operation)
        return result

    def here(self, operation: Operation[T]) -> T:
        """
        Do an operation where the caller is: in a greenlet, or a thread.
        """
        if in_greenlet():
            done: T = awaited(self.perform_async(operation))
            return done
        return self.perform(operation)

    def announce(self, operation: Operation[T]) -> T:
        """
        Do it where the caller is; if the way is lost, again and again for its time.

        Raises:
            StoreError: it can't be done in time.
        """
        return run(self.insisting(operation), self._here_or_rest)

    def insisting(self, operation: Operation[T]) -> Generator[Any, Any, T]:
        """
        Do the same as a conversation.

        Once somebody has done so in vain, whoever comes next tries only once. Not
        sooner: of an outage in which nobody has insisted others need not have noticed.

        Raises:
            StoreError: it can't be done in time.
        """
        ends = operation.until = self._clock() + self._patience
        once_only = self._given_up and self._announcing.failing
        while True:
            try:
                done: T = yield operation
            except StoreError as error:
                for_good = error.facts.get("refusal") in _FOR_GOOD
                # a part of the store that is left alone answers no sooner if asked again
                for_good = for_good or error.facts.get("rests", False)
                if once_only or for_good:
                    raise
                if self._clock() + _AGAIN >= ends:
                    self._given_up = self._announcing.troubled
                    raise
            else:
                return done
            yield Rest(_AGAIN)

    def _here_or_rest(self, op: Any) -> Any:
        return op.here() if type(op) is Rest else self.here(op)

    @property
    def heard(self) -> float:
        """
        Tell when that was sent which was answered last.
        """
        return self._doubt.heard

    def waited(self, began: float) -> bool:
        """
        Tell whether a failure of what was asked then took longer than a refusal does.
        """
        return self._clock() - began >= _WAITED * self._limit

    def distrust(self) -> None:
        """
        Serve nothing before the store was told something: as after an outage.
        """
        self._doubt.begin()

    def close(self) -> None:
        """
        Let the blocking client go.
        """
        self.client.close()

    async def close_async(self) -> None:
        """
        Let the running loop's client go, and the blocking one.
        """
        await self.client.close_async()

    def begin_anew(self) -> None:
        """
        Forget the parent's connections, in a child after a fork.
        """
        self._given_up = False  # what the parent owes is the parent's to tell
        self.client.begin_anew()

    def _admit(self, operation: Operation[Any]) -> tuple[Breaker, float]:
        if self._doubt.until:
            # first, or it would use up the one try that an open breaker leaves
            self._rely(operation)
        changes = operation.asked in CHANGES
        breaker = self._announcing if changes else self._asking
        if operation.asked == "store":
            breaker = self._storing
        if breaker.troubled and operation.asked == _MEASURES:
            closed = breaker.failing  # the one try that is left is a look-up's
        else:
            closed = breaker.troubled and breaker.open
        if closed or (self._unfit_until and self._unfit):
            if changes:  # a commit is worth a try, if a short one: it may be over
                return breaker, self._limit
            message = f"it is left alone, having failed ({operation.asked})"
            raise StoreError(message, asked=operation.asked)
        return breaker, self._time_for(operation) if changes else self._limit

    def _time_for(self, operation: Operation[Any]) -> float:
        """
        Tell how long a change may take: what is left, for one that is tried again.
        """
        if not operation.until:
            return self._patience
        left = operation.until - self._clock()
        return max(self._limit, min(self._patience, left))

    def _rely(self, operation: Operation[Any]) -> None:
        """
        Refuse to look up what others may not have told yet that they changed it.
        """
        if self._doubt.holds and operation.asked in _LOOKS:
            message = f"it is not relied on so soon after an outage ({operation.asked})"
            raise StoreError(message, asked=operation.asked)

    def _fault(
        self, operation: Operation[Any], breaker: Breaker, error: Exception
    ) -> StoreError:
        """
        Make a failure of the store of what a client, or this library, ought not to raise.
        """
        own_fault(error, f"asking a shared store ({operation.asked})")
        message = f"its client can't {operation.asked}: {error!r}"
        made = StoreError(message, asked=operation.asked)
        without_frames(error)
        self._failed(operation, breaker, made)
        return made

    def _failed(
        self, operation: Operation[Any], breaker: Breaker, error: StoreError
    ) -> None:
        without_frames(error)  # it is met in the middle of anything
        self.failures += 1
        facts = error.facts
        # refused while it connects, it is refused everything
        refused = "refusal" in facts and not facts.get("opening")
        spared = refused and operation.asked in _SPARED
        if facts.get("refusal") == _WITHOUT:
            self._unfit_until = self._clock() + _UNFIT
            spared = True
        if spared or facts.get("partly"):  # the rest of it is asked as ever
            say(error)
            return
        storing = breaker is self._storing
        if storing:
            self._doubt.missed = True  # maybe for its size: no other outage yet
        else:
            self._doubt.failed()
        self._outage.failed(error, opened=breaker.failed(), storing=storing)

    def _answered(
        self, operation: Operation[Any], breaker: Breaker, began: float
    ) -> None:
        if operation.asked == _MEASURES:
            return
        doubt = self._doubt
        if not (
            breaker.troubled
            or self._asking.troubled
            or self._announcing.troubled
            or doubt.missed
            or doubt.until
        ):
            doubt.heard = began  # nearly always: a call for each would cost more
            return
        self._given_up = False
        stored = breaker is self._storing
        over = breaker.answered() and not stored
        if stored and self._asking.failing:
            over = self._asking.answered()
        if breaker is not self._announcing and self._announcing.failing:
            # look-ups succeed again, others' as well: the next commit has to insist
            over = self._announcing.answered()
        self._outage.answered(self._asking, self._announcing)
        if doubt.answered(began, over=over):
            self.recovered()
            self._outage.ended()

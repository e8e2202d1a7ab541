"""
A small world of several processes, in which every order of events can be tried.

Each process has the real near side of a shared store (`yokedcache.shared`) and the real
flights, over a model of the store and of what may happen to it: tags are evicted, it is
emptied or restarts as it once was, leases pass, processes die.

The plans, the near side, the claims, the adoption of orphans: all of that is the library.
The store's side of the protocol is not (`shared_model`), nor is the database, which says
of its transactions whatever is true of them, or that it can't tell.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from tests.explorer.search import Breach
from tests.explorer.shared_actors import TAG, Caller
from tests.explorer.shared_memory import LEASE
from tests.explorer.shared_model import Model
from tests.explorer.shared_process import GRACE, NEAR, Process
from tests.explorer.shared_writers import Asker, Hearer, Writer
from yokedcache.runtime.naming import named
from yokedcache.shared import store

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from tests.explorer.shared_scope import Scope

TICK: Final = 0.001
"""Seconds between two events, where it matters which came first."""


class Function:
    """
    The cached function, as keys name it.
    """

    token = "function:explored"

    def shared_name(self) -> str:
        return self.token


FUNCTION: Final = Function()
named[FUNCTION.token] = FUNCTION


class Tokens:
    """
    Stands for `secrets`, and draws the same for the same deed: histories are told anew.
    """

    deed = ""

    def token_bytes(self, size: int) -> bytes:
        return blake2b(self.deed.encode(), digest_size=size).digest()


TOKENS: Final = Tokens()


class Inquiry:
    """
    Stands for who knows of transactions (`orphans.install`): those of the world told.
    """

    world: SharedWorld | None = None

    def __call__(self, owner: str) -> Callable[[], bool | None]:
        def is_left() -> bool | None:
            return None if self.world is None else self.world.is_left(owner)

        return is_left


INQUIRY: Final = Inquiry()


class SharedWorld:
    """
    One history, as far as it has come.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.off = scope.off
        self.budget = dict(scope.budget)
        self.model = Model(scope.off)
        self.key = (FUNCTION.token, 1, int)
        self.row = 0
        self._floors: list[tuple[float, int]] = [(0.0, 0)]
        """What whoever began at a time, or later, must see at least."""
        self.tells = True
        """Whether the database can say what becomes of its transactions."""
        numbers = {n for n, _ in scope.readers} | {*scope.writers, *scope.warm}
        self.processes = {
            n: Process(self, n, near=n in scope.near) for n in sorted(numbers)
        }
        self.actors: list[Caller | Writer | Hearer | Asker] = []
        for number in scope.warm:
            self._ask_once_more(number)
        for place, (number, kind) in enumerate(scope.readers, 1):
            name = f"R{place} in P{number}"
            self.actors.append(Caller(self, self.processes[number], name, kind))
        for place, number in enumerate(scope.writers, 1):
            name = f"W{place} in P{number}"
            self.actors.append(Writer(self, self.processes[number], name))
        self.actors += [
            Hearer(self, self.processes[number], scope.polls) for number in scope.near
        ]
        if scope.asking:
            self.actors += [Asker(self, process) for process in self.processes.values()]
        for choice in scope.before:
            self.do(choice)

    # what is told

    def told(self, value: int, by: Process | None = None) -> None:
        """
        Note what somebody was told: nothing older may be told to later comers.
        """
        if value > self._floors[-1][1]:
            self._floors.append((self.model.now, value))
        if by is not None:
            by.own = max(by.own, value)

    def floor_for(self, process: Process) -> int:
        """
        Give what whoever begins now in a process must see at least.
        """
        if not process.near:
            return self._floors[-1][1]
        since = self.model.now - NEAR
        return max(process.own, *(value for at, value in self._floors if at <= since))

    @property
    def is_over(self) -> bool:
        """
        Tell whether all who read and write have ended.
        """
        return all(actor.finished for actor in self.actors)

    # what may happen

    def distinct(self) -> list[str]:
        return list(self.choices())

    def choices(self) -> Iterator[str]:
        """
        Name everything that may happen next.
        """
        deeds = [f"{one.name}: {deed}" for one in self.actors for deed in one.deeds()]
        yield from deeds
        if self.is_over:
            return
        if self.budget["evicted"]:
            yield "store: the tag is evicted"
        if self.budget["flushed"]:
            yield "store: all is lost"
        if self.budget["restored"]:
            kept = self.model.saved is not None
            yield "store: restarts as it was saved" if kept else "store: is saved"
        if self.budget["lapsing"]:
            yield "time: a lease passes, and nobody vouches"
        passes = self.budget["passing"] and (self.off == "4" or not self._orphaned())
        # whoever rests since somebody has claimed the load, and died, rests until then
        if passes or (not deeds and self.model.claims):
            yield "time: leases pass"

    def _orphaned(self) -> bool:
        """
        Tell whether a transaction is left whose process died: grace is for these.
        """
        return any(
            isinstance(actor, Writer) and actor.process.dead and actor.open
            for actor in self.actors
        )

    def do(self, choice: str) -> None:
        name, _, deed = choice.partition(": ")
        TOKENS.deed, INQUIRY.world = choice, self
        if self.scope.polls:
            self.model.now += TICK
        if name == "store":
            self._befall(deed)
        elif name == "time":
            self._pass(deed)
        for actor in self.actors:
            if actor.name == name:
                with self._dating():
                    actor.do(deed)

    def _befall(self, deed: str) -> None:
        """
        Let something happen to the store.
        """
        if deed == "is saved":
            self.model.save()
        elif deed == "restarts as it was saved":
            self.budget["restored"] -= 1
            self.model.restore()
        elif deed == "the tag is evicted":
            self.budget["evicted"] -= 1
            self.model.evict(TAG)
        else:
            self.budget["flushed"] -= 1
            self.model.flush()

    def is_left(self, owner: str) -> bool | None:
        """
        Tell whether the database has a transaction yet, if it can.
        """
        if not self.tells:
            return None
        return self.off != "4-over" and any(
            isinstance(actor, Writer) and actor.owner == owner and actor.open
            for actor in self.actors
        )

    def _dating(self) -> AbstractContextManager[Any]:
        """
        Judge tags that turn up late; without that rule by what they are when it stores.
        """
        if self.off != "1-late":
            return nullcontext()
        return mock.patch.object(store, "not_after", return_value=True)

    def _pass(self, deed: str) -> None:
        """
        Let a lease pass, or as much time as orphans are given; claims end by themselves.

        In the second the living vouch for theirs, in the first nobody comes to it.
        """
        if deed == "leases pass":
            self.budget["passing"] = max(self.budget["passing"] - 1, 0)
            for _ in range(3):
                for process in self.processes.values():
                    if not process.dead:
                        process.vouch()
                self.model.now += (LEASE + GRACE) / 3 + 0.1
        else:
            self.budget["lapsing"] -= 1
            self.model.now += LEASE + 0.1
        self.model.claims.clear()

    def check_end(self) -> None:
        waiting = [
            actor.name
            for actor in self.actors
            if not (actor.finished or actor.process.dead)
        ]
        if waiting:
            raise Breach(f"{', '.join(waiting)} wait for ever")
        for number, process in self.processes.items():
            if process.dead:
                continue
            if self.store_is_quiet(process):
                self._ask_once_more(number)

    def store_is_quiet(self, process: Process) -> bool:
        """
        Tell whether the last commit is told: a near answer may be as old as that.
        """
        return not process.near or self.floor_for(process) == self.row

    def _ask_once_more(self, number: int) -> None:
        last = Caller(self, self.processes[number], "R0", "function")
        while not last.finished:
            last.do(next(iter(last.deeds())))
        if last.value != self.row:
            raise Breach(f"a last reader in P{number} got {last.value}, not {self.row}")

    def portrait(self) -> Hashable:
        return (
            self.row,
            tuple(self._floors),
            tuple(self.budget.values()),
            self.model.portrait(),
            tuple(process.portrait() for process in self.processes.values()),
            tuple(actor.portrait() for actor in self.actors),
        )

    def close(self) -> None:
        for actor in self.actors:
            actor.close()
        for process in self.processes.values():
            process.machine.close()

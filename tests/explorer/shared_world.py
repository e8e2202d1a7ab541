"""
A small world of several processes, in which every order of events can be tried.

Each process has the real near side of a shared store (`yokedcache.shared`) and the real
flights, over a model of the store and of what may happen to it: tags are evicted, it is
emptied, leases pass, processes die.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from tests.explorer.search import Breach
from tests.explorer.shared_actors import TAG, Caller, Hearer, Writer
from tests.explorer.shared_model import LEASE, Model
from tests.explorer.shared_way import Way
from yokedcache import opening, settings
from yokedcache.core.backplane import Backplane
from yokedcache.machine import Machine
from yokedcache.runtime.naming import named
from yokedcache.shared import store

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

GRACE: Final = 1.0
NEAR: Final = 0.5
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


class Deaf(Backplane):
    """
    Doesn't remember what was announced since something was asked (hole 18).
    """

    def __init__(self, model: Model) -> None:
        super().__init__(NEAR)
        self.model = model

    def changed(self, asked: float, tags: Any) -> bool:
        return False


class Older(Deaf):
    """
    Takes what was asked before it followed for what was asked since.
    """

    changed = Backplane.changed

    def begin(self, sent: float, arrived: float) -> None:
        super().begin(sent, 0.0)


class Hasty(Deaf):
    """
    Vouches from when it heard, and not from when it asked.
    """

    changed = Backplane.changed

    def vouch(self, sent: float) -> None:
        super().vouch(self.model.now)


WRONG: Final = {"8-position": Deaf, "8-since": Older, "8-vouched": Hasty}


class Scope:
    """
    Who takes part, what may go wrong, and which rule is off.

    `readers` are processes' numbers and kinds; `writers` are those of processes.
    """

    def __init__(
        self,
        readers: tuple[tuple[int, str], ...],
        writers: tuple[int, ...] = (),
        *,
        warm: tuple[int, ...] = (),
        near: tuple[int, ...] = (),
        before: tuple[str, ...] = (),
        claims: bool = False,
        inside: bool = False,
        polls: int = 0,
        evicted: int = 0,
        flushed: int = 0,
        dying: int = 0,
        passing: int = 0,
        off: str = "",
    ) -> None:
        self.readers = readers
        self.writers = writers
        self.warm = warm
        """Processes that have the answer when the story begins."""
        self.near = near
        """Those that give it out again without asking, for a while."""
        self.before = before
        """What has happened when the story begins."""
        self.claims = claims
        self.inside = inside
        """Commits announce themselves, inside their own transactions."""
        self.polls = polls
        """How often those ask what was announced."""
        self.budget = {
            "evicted": evicted,
            "flushed": flushed,
            "dying": dying,
            "passing": passing,
        }
        self.off = off


class Process:
    """
    One process: its cache, and its way to the store.
    """

    def __init__(self, world: SharedWorld, number: int, *, near: bool) -> None:
        self.number = number
        self.near = near
        self.hears = near and bool(world.scope.polls)
        self.dead = False
        self.own = 0
        """What its own commits have told."""
        way = Way(world.model)
        told: dict[str, Any] = {"lease": LEASE, "orphan_grace": GRACE, "jitter": 0.0}
        if near:
            bound = NEAR if world.off != "8" else 1000 * NEAR
            told["near"] = {"max_staleness": bound}
        with mock.patch.object(opening, "_client", return_value=way):
            given = settings.read("redis://explored", told)
            self.machine = Machine(given, lambda: world.model.now)
        self.store: Any = self.machine.store
        self.store._wall = self.store._timing._wall = lambda: world.model.now
        self.server = self.store.server
        wrong = WRONG.get(world.off)
        if wrong is not None and near:
            self.store._listener.backplane = wrong(world.model)

    def vouch(self) -> None:
        """
        Do what a thread does three times a lease: renew the fences that are up.
        """
        self.store._fencing._vouch()

    def die(self) -> None:
        self.dead = True

    def portrait(self) -> Hashable:
        """
        Draw all that it knows.
        """
        if self.dead:
            return "dead"
        store = self.store
        flights = self.machine.terminal._table
        return (
            store.tags.counter,
            store.pulse.value,
            tuple(
                (str(name), tag.version, tag.fences, tag.elsewhere, tag.shared)
                for name, tag in sorted(store.tags._tags.items(), key=str)
            ),
            tuple(
                (
                    *(entry.value, entry.proven, entry.pulse, entry.plain_until),
                    entry.asked if self.hears else None,
                    *((str(tag.name), version) for tag, version in entry.vector),
                    str(entry.question),
                )
                for entry in store.entries.values()
            ),
            tuple(map(str, store._mirror._hints.values())),
            tuple(
                (flight.ticket, flight.landed, flight.awaited)
                for flight in flights._flights.values()
            ),
            len(store._fencing._raised),
            self._heard() if self.hears else None,
        )

    def _heard(self) -> Hashable:
        backplane = self.store._listener.backplane
        return (
            (backplane.vouched, backplane.since, self.store._listener._position),
            tuple(sorted(backplane._heard.items())),
        )


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
        numbers = {n for n, _ in scope.readers} | {*scope.writers, *scope.warm}
        self.processes = {
            n: Process(self, n, near=n in scope.near) for n in sorted(numbers)
        }
        self.actors: list[Caller | Writer | Hearer] = []
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
        TOKENS.deed = choice
        if self.scope.polls:
            self.model.now += TICK
        if deed == "the tag is evicted":
            self.budget["evicted"] -= 1
            self.model.evict(TAG)
        elif deed == "all is lost":
            self.budget["flushed"] -= 1
            self.model.flush()
        elif deed == "leases pass":
            self.budget["passing"] = max(self.budget["passing"] - 1, 0)
            self._pass()
        for actor in self.actors:
            if actor.name == name:
                with self._dating():
                    actor.do(deed)

    def _dating(self) -> AbstractContextManager[Any]:
        """
        Judge tags that turn up late; without that rule by what they are when it stores.
        """
        if self.off != "1-late":
            return nullcontext()
        return mock.patch.object(store, "not_after", return_value=True)

    def _pass(self) -> None:
        """
        Let as much time pass as orphans are given; the living vouch for theirs.
        """
        for _ in range(3):
            for process in self.processes.values():
                if not process.dead:
                    process.vouch()
            self.model.now += (LEASE + GRACE) / 3 + 0.1
        self.model.claims.clear()  # they end by themselves

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

"""
Histories of several processes on one store, against a model of a few dictionaries.

The model says what must be, where the store's clock has no say: a history is so short
against its leases that nothing ends by itself. One that took longer, on a machine that
is busy, is held only to what must never be.
"""

from __future__ import annotations

import itertools
import operator
import time
from typing import TYPE_CHECKING, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from yokedcache.stores.contract import Following
from yokedcache.testing.stores.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.answers import RaisedFence, Stamp
    from yokedcache.testing.stores.basis import Basis
    from yokedcache.testing.stores.processes import Process

WHO = st.integers(0, 1)
KEYS = st.sampled_from(["k1", "k2"])
TAGS = st.lists(st.sampled_from("abc"), max_size=3, unique=True)
SOME_TAGS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)
DYING = 0.01
"""The lease of a process that dies, in seconds."""

_RUNS = itertools.count(1)


class Kept:
    """
    What the model knows of a tag: a number for each state, and who fences it.
    """

    def __init__(self) -> None:
        self.number = 0
        self.fences: set[bytes] = set()


class Taken:
    """
    A stamp, and the states of the tags that the model saw then.
    """

    def __init__(self, stamp: Stamp, seen: dict[str, int], *, usable: bool) -> None:
        self.stamp = stamp
        self.seen = seen
        self.usable = usable


class Histories(RuleBasedStateMachine):
    """
    Two processes that live, and any number of writers that die in their commits.
    """

    stamps = Bundle("stamps")
    fences = Bundle("fences")
    orphans = Bundle("orphans")

    suite: ClassVar[Basis]
    processes: ClassVar[tuple[Process, Process]]
    dying: ClassVar[Process]

    def __init__(self) -> None:
        super().__init__()
        self.run = f"run{next(_RUNS)}:"
        self.tags: dict[str, Kept] = {}
        self.entries: dict[str, tuple[bytes, dict[str, int]]] = {}
        self.numbers = itertools.count(1)
        self.given: set[bytes] = set()
        self.places: dict[int, bytes] = {}
        self.unheard: dict[int, set[str]] = {}
        self.began = time.monotonic()

    @property
    def sure(self) -> bool:
        """
        Whether nothing can have ended by itself yet.
        """
        return time.monotonic() < self.began + self.suite.lease / 2

    def named(self, names: list[str]) -> list[str]:
        return [self.run + name for name in names]

    def fresh(self, name: str) -> Kept:
        """
        Give a tag a new state, making it if it isn't there.
        """
        kept = self.tags.setdefault(name, Kept())
        kept.number = next(self.numbers)
        return kept

    def announce(self, names: list[str]) -> None:
        for unheard in self.unheard.values():
            unheard.update(names)

    def never_before(self, version: bytes) -> None:
        assert version not in self.given
        self.given.add(version)

    def holds(self, seen: dict[str, int]) -> bool:
        return all(
            name in self.tags
            and self.tags[name].number == number
            and not self.tags[name].fences
            for name, number in seen.items()
        )

    def expected(self, key: str) -> bytes | None:
        payload, seen = self.entries.get(key, (b"", {"never": 0}))
        return payload if self.holds(seen) else None

    def agree(self, said: bool, expected: bool) -> None:
        """
        Hold the store to the model: too little is wrong only where nothing can end.
        """
        assert expected or not said
        assert said or not expected or not self.sure

    @rule(target=stamps, who=WHO, names=TAGS)
    def take_stamp(self, who: int, names: list[str]) -> Taken:
        stamp = self.processes[who].stamp(*self.named(names))
        for name in names:
            if name not in self.tags:
                self.fresh(name)
        seen = {name: self.tags[name].number for name in names}
        usable = not any(self.tags[name].fences for name in names)
        self.agree(stamp.unusable is None, usable)
        self.given.update(stamp.vector.versions)
        return Taken(stamp, seen, usable=usable)

    @rule(who=WHO, key=KEYS, taken=stamps, payload=st.binary(max_size=8))
    def put(self, who: int, key: str, taken: Taken, payload: bytes) -> None:
        refused = self.processes[who].put(self.run + key, payload, taken.stamp)
        self.agree(refused is None, taken.usable and self.holds(taken.seen))
        if refused is None:
            self.entries[key] = (payload, taken.seen)

    @rule(who=WHO, key=KEYS, names=TAGS)
    def read(self, who: int, key: str, names: list[str]) -> None:
        found = self.processes[who].read(self.run + key, *self.named(names))
        expected = self.expected(key)
        self.agree(isinstance(found, bytes), expected is not None)
        assert isinstance(found, str) or found == expected

    @rule(who=WHO, key=KEYS)
    def remove(self, who: int, key: str) -> None:
        process = self.processes[who]
        removed = process.do(process.commands.remove(self.run + key))
        self.agree(removed, self.expected(key) is not None)
        self.entries.pop(key, None)

    @rule(who=WHO, names=SOME_TAGS)
    def bump(self, who: int, names: list[str]) -> None:
        self.never_before(self.processes[who].bump(*self.named(names)))
        self.announce(names)
        for name in set(names) & set(self.tags):
            self.fresh(name)

    @rule(target=fences, who=WHO, names=SOME_TAGS)
    def fence(self, who: int, names: list[str]) -> tuple[RaisedFence, list[str]]:
        return self._fence(self.processes[who], names)

    @rule(target=orphans, names=SOME_TAGS)
    def die_in_a_commit(self, names: list[str]) -> tuple[RaisedFence, list[str]]:
        return self._fence(self.dying, names)

    def _fence(
        self, process: Process, names: list[str]
    ) -> tuple[RaisedFence, list[str]]:
        fence = process.fence(*self.named(names))
        self.never_before(fence.version)
        self.announce(names)
        for name in names:
            self.fresh(name).fences.add(fence.token)
        return fence, names

    @rule(who=WHO, raised=consumes(fences))
    def lift(self, who: int, raised: tuple[RaisedFence, list[str]]) -> None:
        fence, names = raised
        process = self.processes[who]
        lifted = process.do(process.commands.lift(fence))
        self.never_before(lifted.version)
        missing = sum(fence.token not in self.tags[name].fences for name in names)
        assert lifted.missing == missing
        self.announce(names)
        for name in names:
            self.fresh(name).fences.discard(fence.token)

    @rule(who=WHO, raised=fences)
    def renew(self, who: int, raised: tuple[RaisedFence, list[str]]) -> None:
        fence, names = raised
        process = self.processes[who]
        lost = process.do(process.commands.renew(fence))
        missing = [n for n in names if fence.token not in self.tags[n].fences]
        assert lost == len(missing)
        self.announce(missing)
        for name in missing:
            self.fresh(name).fences.add(fence.token)

    @rule(who=WHO, raised=fences)
    def adopt_too_early(self, who: int, raised: tuple[RaisedFence, list[str]]) -> None:
        fence, names = raised
        process = self.processes[who]
        adopting = process.commands.adopt(self.named(names), fence.token, grace=3600.0)
        assert not any(process.do(adopting))

    @rule(who=WHO, raised=consumes(orphans))
    def adopt(self, who: int, raised: tuple[RaisedFence, list[str]]) -> None:
        fence, names = raised
        process = self.processes[who]
        adopting = process.commands.adopt
        asked = self.named(names)
        taken = [False] * len(names)

        def adopted() -> bool:
            # a store of several servers may be at each of them at another time
            done = process.do(adopting(asked, fence.token))
            taken[:] = map(operator.or_, taken, done)
            return all(taken)

        wait_until(adopted)
        self.announce(names)
        for name in names:
            self.fresh(name).fences.discard(fence.token)

    @rule(who=WHO)
    def follow(self, who: int) -> None:
        process = self.processes[who]
        if not isinstance(process.commands, Following):
            return
        followed = process.do(process.commands.follow(self.places.get(who)))
        expected, self.unheard[who] = self.unheard.get(who), set()
        self.places[who] = followed.position
        self.agree(followed.told is not None, expected is not None)
        if followed.told is not None and expected is not None:
            told = {digest for _, tags in followed.told for digest in tags.each()}
            names = self.named(sorted(expected))
            tags = [process.commands.tags([one]) for one in names]
            assert told == {one.digest(0) for one in tags}

    @rule(who=WHO, name=st.sampled_from("abc"))
    def lose_a_tag(self, who: int, name: str) -> None:
        # a fence that is lost with its tag is what `born fenced` is for; not here
        kept = self.tags.get(name)
        if kept is None or kept.fences:
            return
        if self.suite.lose_tag(self.processes[who], self.run + name):
            del self.tags[name]

    @invariant()
    def every_entry_is_as_expected(self) -> None:
        for place, key in enumerate(["k1", "k2"]):
            process = self.processes[place]
            exists = process.do(
                process.commands.exists(self.run + key, self.named(["a"]))
            )
            self.agree(exists, self.expected(key) is not None)


def run_histories(
    suite: Basis,
    processes: tuple[Process, Process],
    start: Callable[..., Process],
) -> None:
    """
    Try histories on a store that two processes have open.
    """
    facts = {"suite": suite, "processes": processes, "dying": start(DYING)}
    made = type("TheseHistories", (Histories,), facts)
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=suite.examples,
            stateful_step_count=30,
            suppress_health_check=[*HealthCheck],
            deadline=None,
        ),
    )

"""
The explorer's model of a store answers as a real one does, whatever it is asked.

So what the explorer finds in the model's hands is of worth for the store; and a rule that
is switched off in the model is a difference, which is found. (Rules that are off
elsewhere are the library's own, or its host's: `test_shared`.)
"""

from __future__ import annotations

import os
import random
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.explorer.shared_twins import DifferenceError, Twins
from tests.services.redis import RedisServer
from yokedcache.stores.answers import Miss, Times, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEP = os.environ.get("YOKEDCACHE_EXPLORE") == "deep"
HISTORIES = 2000 if DEEP else 40
LENGTH = 120
ENOUGH = 20
"""Histories in which each rule that is off is found."""
KEYS = (b"k1", b"k2")
TAGS = {digest_of(name): name for name in "abc"}
FADING = 0.6
"""Leases that pass at once: two of them end one, and nothing ends at the very moment."""
OFTEN = ("stamp", "put", "read")
NOW_AND_THEN = ("again", "lift", "lift", "adopt", "wait", "befall")
SELDOM = ("fence", "claim", "release", "renew", "bump", "note", "exists", "follow")
DEEDS = (*(5 * OFTEN), *(2 * NOW_AND_THEN), *SELDOM)
REASONS = ("commit_in_flight", "incarnation")
SEEN = {
    *(("read", why) for why in ("Found", "absent", "tag_lost", "changed", *REASONS)),
    *(("again", why) for why in ("Same", "Found", "changed", *REASONS)),
    *(("store", why) for why in ("None", "changed_meanwhile", *REASONS)),
    *(("stamp", why) for why in ("None", "commit_in_flight")),
    *(("follow", told) for told in ("anew", "True", "False")),
    *(("renew", lost) for lost in "012"),
    *(
        (deed, yes)
        for deed in ("adopt", "release", "exists")
        for yes in ("True", "False")
    ),
}
"""Answers that turn up, or too little is compared."""


class History:
    """
    Some operations, as dice will have it.
    """

    def __init__(self, twins: Twins, seed: int) -> None:
        self.twins = twins
        self.dice = random.Random(seed)
        self.number = 0
        self.stamps: list[Any] = []
        self.fences: list[Any] = []
        self.questions: list[Any] = []
        self.places: list[Any] = [None, None]

    def names(self, least: int = 0) -> list[str]:
        return self.dice.sample("abc", self.dice.randint(least, 3))

    def go_on(self) -> None:
        """
        Do one thing more.
        """
        self.number += 1
        getattr(self, self.dice.choice(DEEDS))()

    def stamp(self) -> None:
        self.stamps.append(self.twins.ask("stamp", (self.names(),))[:2])

    def put(self) -> None:
        if not self.stamps:
            return
        # mostly of the last ones, which may hold
        ours, theirs = self.dice.choice(self.stamps[-3:])
        key, payload = self.dice.choice(KEYS), b"%d" % self.number
        times = Times(float(self.number), 1e9, 1e9)
        told, real = (key, payload, ours, times), (key, payload, theirs, times)
        self.twins.ask("store", told, real, life=900.0)

    def read(self) -> None:
        key = self.dice.choice(KEYS)
        mine, real, asking = self.twins.ask("read", (key, self.names()))
        if isinstance(mine, Miss):
            return
        model, commands = self.twins.model, self.twins.face.commands
        names = [TAGS[mine.vector.digests[at : at + 6]] for at in self._places(mine)]
        if names:
            ours = model.question(model.read(key), model.tags(names), mine)
            theirs = commands.question(asking, commands.tags(names), real)
            self.questions.append((ours, theirs))

    @staticmethod
    def _places(found: Any) -> range:
        return range(0, len(found.vector.digests), 6)

    def again(self) -> None:
        if self.questions:
            ours, theirs = self.dice.choice(self.questions[-2:])
            self.twins.ask("again", (ours,), (theirs,))

    def claim(self) -> None:
        key, token = self.dice.choice(KEYS), self.dice.choice([b"one", b"other"])
        commands, names = self.twins.face.commands, self.names(1)
        self.twins.ask("claim", (key, names, token), (key, commands.tags(names), token))

    def release(self) -> None:
        token = self.dice.choice([b"one", b"other"])
        self.twins.ask("release", (self.dice.choice(KEYS), token))

    def fence(self) -> None:
        owner = self.dice.choice(["", "pid 7"])
        asked = (self.names(1), b"token%d" % self.number, owner)
        self.fences.append(self.twins.ask("fence", asked)[:2])

    def lift(self) -> None:
        if self.fences:
            ours, theirs = self.fences[-self.dice.randint(1, min(3, len(self.fences)))]
            self.twins.ask("lift", (ours,), (theirs,))

    def renew(self) -> None:
        if self.fences:
            ours, theirs = self.dice.choice(self.fences[-3:])
            self.twins.ask("renew", (ours,), (theirs,))

    def adopt(self) -> None:
        if self.fences:
            token = self.dice.choice(self.fences)[0].token
            grace = self.dice.choice([0.0, 0.5])
            self.twins.ask("adopt", (self.names(2), token), grace=grace)

    def bump(self) -> None:
        self.twins.ask("bump", (self.names(),))

    def note(self) -> None:
        mine, real, _ = self.twins.ask("note", ())
        assert self.twins.notes(mine, real)

    def exists(self) -> None:
        self.twins.ask("exists", (self.dice.choice(KEYS), self.names()))

    def follow(self) -> None:
        who = self.dice.randrange(2)
        ours, theirs = self.places[who] or (None, None)
        mine, real, _ = self.twins.ask("follow", (ours,), (theirs,))
        self.places[who] = (mine.position, real.position)

    def wait(self) -> None:
        self.twins.wait(FADING)

    def befall(self) -> None:
        twins, kept = self.twins, self.twins.model.saved
        deed = self.dice.choice(["evicts", "evicts", "loses", "saves"])
        if deed == "evicts":
            twins.evict(self.dice.choice("abc"))
        elif deed == "loses":
            twins.flush()
        elif kept is None:
            twins.save()
        elif not twins.restored:
            twins.restore()


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer.running() as running:
        yield running


def tell(server: RedisServer, histories: int, off: str = "") -> set[tuple[str, str]]:
    """
    Tell so many histories of both; give what sorts of answers there were.
    """
    seen: set[tuple[str, str]] = set()
    for seed in range(histories):
        with closing(Twins(server, off)) as twins:
            history = History(twins, seed)
            for _ in range(LENGTH):
                history.go_on()
            seen |= twins.seen
    return seen


@pytest.mark.slow
@pytest.mark.timeout(3_600 if DEEP else 300)
def test_the_model_answers_as_a_real_store_does(server: RedisServer) -> None:
    seen = tell(server, HISTORIES)
    assert seen >= SEEN, SEEN - seen


@pytest.mark.timeout(120)
@pytest.mark.parametrize("off", ["2-last-bump", "3", "4-bump", "7", "7-incarnation"])
def test_without_a_rule_it_does_not(server: RedisServer, off: str) -> None:
    with pytest.raises(DifferenceError):
        tell(server, ENOUGH, off)

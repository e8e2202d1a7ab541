"""
The model of a store and a real server, asked the same, and held against each other.

Answers are equal but for how versions and incarnations are written: of those it is told
whether they are the same as others, later, or the next. A lease is so long that nothing
ends by itself; time is let pass by moving what is written of it back.
"""

from __future__ import annotations

import operator
import re
import time
from typing import TYPE_CHECKING, Any

from tests.explorer.shared_memory import LEASE, Found
from tests.explorer.shared_model import Model
from tests.support.redis_faces import LONG, make_face
from yokedcache.stores.answers import (
    Claim,
    Followed,
    Lifted,
    Miss,
    RaisedFence,
    Stamp,
    TagState,
)
from yokedcache.stores.envelope import Hit
from yokedcache.stores.versions import is_next, not_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer

NEAR = 0.1
"""Leases by which deadlines may differ."""


class DifferenceError(AssertionError):
    """
    The two don't answer alike.
    """


class Pairs:
    """
    What stands for what: each has one counterpart, and is the only one that has it.
    """

    def __init__(self) -> None:
        self.there: dict[Any, Any] = {}
        self.back: dict[Any, Any] = {}

    def agree(self, ours: Any, theirs: Any) -> bool:
        if ours is None or theirs is None:
            return ours is theirs
        there, back = (
            self.there.setdefault(ours, theirs),
            self.back.setdefault(theirs, ours),
        )
        return bool(there == theirs and back == ours)


class Twins:
    """
    A model, one rule of which may be off, and a server of nobody else's.
    """

    def __init__(self, server: RedisServer, off: str = "") -> None:
        server.flush()
        self.server = server
        self.model = Model(off)
        self.face: Any = make_face("sync", server)
        self.face.settle()
        self.versions, self.marks = Pairs(), Pairs()
        self.restored = False
        self.shift = 0.0
        """Leases that have passed since it was saved."""
        self.story: list[str] = []
        self.seen: set[tuple[str, str]] = set()
        """What was answered, by sorts."""

    def close(self) -> None:
        self.face.close()

    # what befalls a store

    def evict(self, name: str) -> None:
        self.story.append(f"evict {name}")
        self.model.evict(name)
        self.server.say("DEL", self.face.tag(name))
        self._rewrite("n", lambda text: re.sub(r"\d+$", f"{_now():.0f}", text))

    def flush(self) -> None:
        self.story.append("flush")
        self.model.flush()
        self.server.say("FLUSHALL")

    def save(self) -> None:
        self.story.append("save")
        self.model.save()
        self.server.say("SAVE")
        self.shift = 0.0

    def restore(self) -> None:
        self.story.append("restore")
        self.restored = True
        self.model.restore()
        self.face.close()
        self.server.restart()
        self.face = make_face("sync", self.server)
        self._move(self.shift)

    def wait(self, leases: float) -> None:
        self.story.append(f"wait {leases}")
        self.model.now += leases * LEASE
        self.model.claims.clear()
        self.shift += leases
        self._move(leases)

    def _move(self, leases: float) -> None:
        """
        Let what ends by itself end so much earlier.
        """
        spent = int(leases * LONG * 1000)

        def earlier(found: re.Match[str]) -> str:
            return f"{found[1]}{max(1, int(found[2]) - spent)}{found[3]}"

        self._rewrite("t:*", lambda text: re.sub(r"(;[\w-]+,)(\d+)(,)", earlier, text))
        self._rewrite("n", lambda text: re.sub(r"([.])(\d+)($)", earlier, text))
        for key in self.server.say("KEYS", "t:f:*"):
            self.server.say("DEL", key)

    def _rewrite(self, kind: str, change: Callable[[str], str]) -> None:
        for key in self.server.say("KEYS", f"t:{kind}"):
            text = self.server.say("GET", key)
            self.server.say("SET", key, change(text), "KEEPTTL")

    # what is asked

    def ask(
        self, name: str, ours: tuple[Any, ...], theirs: Any = None, **options: Any
    ) -> Any:
        """
        Ask both; give both answers, which are alike.

        `theirs` is what the server is asked with, if it has things of its own.

        Raises:
            DifferenceError: they differ, after what is told of.
        """
        self.story.append(f"{name}{ours} {options or ''}")
        mine = getattr(self.model, name)(*ours, **options).do()
        if "grace" in options:
            options["grace"] *= LONG / LEASE
        asking = getattr(self.face.commands, name)(*(theirs or ours), **options)
        real = self.face.do(asking)
        if not self._alike(mine, real):
            told = "\n".join(
                [*self.story, f"model: {_shown(mine)}", f"real:  {_shown(real)}"]
            )
            raise DifferenceError(told)
        self.seen.add((name, _kind(mine)))
        return mine, real, asking

    def _alike(self, mine: Any, real: Any) -> bool:
        judges: dict[type, tuple[type, Callable[[Any, Any], bool]]] = {
            bytes: (bytes, self.versions.agree),
            Stamp: (Stamp, self._stamps),
            Miss: (Miss, self._misses),
            Found: (Hit, self._hits),
            Claim: (Claim, self._claims),
            RaisedFence: (RaisedFence, self._versions),
            Lifted: (Lifted, self._lifts),
            Followed: (Followed, self._follows),
        }
        kind, judge = judges.get(type(mine), (type(mine), operator.eq))
        return isinstance(real, kind) and judge(mine, real)

    def _misses(self, mine: Miss, real: Miss) -> bool:
        return mine.reason == real.reason and self._stamps(mine.stamp, real.stamp)

    def _claims(self, mine: Claim, real: Claim) -> bool:
        return mine.holder == real.holder and self._alike(mine.found, real.found)

    def _versions(self, mine: Any, real: Any) -> bool:
        return self.versions.agree(mine.version, real.version)

    def _lifts(self, mine: Lifted, real: Lifted) -> bool:
        return mine.missing == real.missing and self._versions(mine, real)

    def _hits(self, mine: Any, real: Any) -> bool:
        versions = zip(mine.vector.versions, real.vector.versions, strict=True)
        return (
            mine.payload == bytes(real.payload)
            and mine.vector.digests == real.vector.digests
            and all(self.versions.agree(*each) for each in versions)
        )

    def _stamps(self, mine: Stamp, real: Stamp) -> bool:
        states = list(zip(mine.states, real.states, strict=True))
        return (
            mine.tags.digests == real.tags.digests
            and self.marks.agree(mine.mark, real.mark)
            and mine.made == real.made
            and mine.unusable == real.unusable
            and self.notes(mine.counter, real.counter)
            and all(self._states(*each) for each in states)
        )

    def _states(self, mine: TagState, real: TagState) -> bool:
        ours = {one.token: one for one in mine.fences}
        theirs = {one.token: one for one in real.fences}
        now = _now() / 1000
        return (
            mine.lost == real.lost
            and self.versions.agree(mine.version, real.version)
            and ours.keys() == theirs.keys()
            and all(
                one.owner == theirs[token].owner
                and abs(
                    (one.deadline - self.model.now) / LEASE
                    - (theirs[token].deadline - now) / LONG
                )
                < NEAR
                for token, one in ours.items()
            )
        )

    def notes(self, mine: bytes | None, real: bytes | None) -> bool:
        """
        Tell whether two notes of the counter say the same of all versions seen so far.
        """
        if mine is None or real is None:
            return mine is real
        return all(
            not_after(ours, mine) == not_after(theirs, real)
            and is_next(ours, mine) == is_next(theirs, real)
            for ours, theirs in self.versions.there.items()
        )

    def _follows(self, mine: Followed, real: Followed) -> bool:
        if mine.told is None or real.told is None:
            return mine.told is real.told
        # who begins to follow says so, of no tags
        ours, theirs = (
            [one for one in followed.told or () if one[1].count]
            for followed in (mine, real)
        )
        return len(ours) == len(theirs) and all(
            self.versions.agree(one, other) and {*tags.each()} == {*others.each()}
            for (one, tags), (other, others) in zip(ours, theirs, strict=True)
        )


def _now() -> float:
    return time.time() * 1000


def _kind(answer: Any) -> str:
    """
    Say what sort of answer it is.
    """
    if isinstance(answer, Claim):
        return _kind(answer.found)
    if isinstance(answer, Miss):
        return answer.reason
    if isinstance(answer, Stamp):
        return str(answer.unusable)
    if isinstance(answer, Followed):
        return "anew" if answer.told is None else str(bool(answer.told))
    if isinstance(answer, list):
        return str(any(answer))
    plain = answer is None or isinstance(answer, (bool, int, str))
    return str(answer) if plain else type(answer).__name__


def _shown(answer: Any) -> str:
    if isinstance(answer, Miss):
        return f"{answer.reason}, {_shown(answer.stamp)}"
    if isinstance(answer, Stamp):
        return f"{list(answer.states)} {answer.mark!r} {answer.counter!r} {answer.made}"
    return repr(answer)

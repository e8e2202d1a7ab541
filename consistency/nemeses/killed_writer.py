"""
A writer is killed while it commits.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from consistency import events
from consistency.events import BEGUN, WRITE, Event
from consistency.nemeses.nemesis import Nemesis
from consistency.signs import CUT_OFF, LEFT_FENCES
from yokedcache.stores.redis.layout import BORN, read_tag

if TYPE_CHECKING:
    from consistency.crew import Member

LATELY: Final = 200
"""So many of the last events of a log tell what a process is at."""
POLL: Final = 0.0005
MOMENT: Final = 0.25
"""Seconds after which a fence is one that its writer doesn't take down."""
TRIES: Final = 30
"""A writer is let go on so many times at most until it is where it is to be killed."""
SPARES: Final = 8
"""Processes that wait for their turn."""


class KilledWriter(Nemesis):
    """
    Kills a process at a random point of a write, and lets a new one take its place.

    Every other time, and the first time, at one at which it has a fence up.
    """

    name = "killed_writer"
    title = "a writer killed in its commit"
    reach = "nobody"
    shows = (CUT_OFF, LEFT_FENCES)

    def gather(self) -> None:
        """
        Have some ready who take the places of the first victims: starting takes long.
        """
        self._heirs: list[Member] = []
        self._left: set[bytes] = set()
        self._turns = 0
        for place in range(SPARES):
            writers = self.ground.crew.members[:2]
            self._heirs.append(self._recruit(writers[place % 2]))
        for heir in self._heirs:
            heir.wait_ready()

    def prepare(self) -> None:
        """
        Have the one ready that is to replace it.
        """
        self._victim = self.ground.dice.choice(self.ground.writers())
        kin = self._victim.part.process % 2
        heirs = [one for one in self._heirs if one.part.process % 2 == kin]
        self._heir = heirs[0] if heirs else self._recruit(self._victim)
        if heirs:
            self._heirs.remove(self._heir)
        else:
            self._heir.wait_ready()

    def _recruit(self, like: Member) -> Member:
        members = self.ground.crew.members
        # threads follow threads, and tasks follow tasks
        number = max(member.part.process for member in members) + 1
        number += (number - like.part.process) % 2
        log = Path(like.part.log).with_name(f"{number}.log")
        return self.ground.crew.recruit(
            replace(like.part, process=number, log=str(log))
        )

    def act(self) -> int:
        """
        Kill it in mid-write, whatever it is at then.
        """
        victim = self._victim
        fenced = not self._turns % 2
        self._turns += 1
        for _ in range(TRIES):
            self._catch(victim)
            if self._is_in_mid_write(victim, fenced=fenced):
                break
            victim.resume()
        victim.kill()
        self._heir.begin()
        return victim.part.process

    def _catch(self, victim: Member) -> None:
        """
        Have it hang at a random point of a write.
        """
        log = Path(victim.part.log)
        while not (lately := events.tail(log, LATELY)) or not under_way(lately):
            if self.ground.over.wait(POLL) or not victim.living:
                break
        time.sleep(self.ground.dice.uniform(0, usual(lately)))
        victim.suspend()

    def _is_in_mid_write(self, victim: Member, *, fenced: bool) -> bool:
        """
        Tell whether one that hangs has begun a write, and if wanted, has a fence up.
        """
        if self.ground.over.is_set() or not victim.living:
            return True
        if not under_way(events.tail(Path(victim.part.log), LATELY)):
            return False
        if not fenced:
            return True
        if not (standing := self._fences() - self._left):
            return False
        # those of others are up for a moment only
        self.ground.over.wait(MOMENT)
        standing &= self._fences()
        self._left |= standing
        self.seen[LEFT_FENCES] += len(standing)
        return bool(standing)

    def _fences(self) -> set[bytes]:
        redis = self.ground.redis
        keys = redis.say("KEYS", "yc:t:*")
        values = redis.say("MGET", *keys) if keys else []
        states = (read_tag(value.encode()) for value in values if value)
        return {fence.token for state in states for fence in state.fences} - {BORN}


def under_way(lately: list[Event]) -> list[Event]:
    """
    Give the writes that were begun and have not ended.
    """
    begun: dict[int, Event] = {}
    for event in lately:
        if event.way == BEGUN:
            begun[event.task] = event
        else:
            begun.pop(event.task, None)
    return list(begun.values())


def usual(lately: list[Event]) -> float:
    """
    Give how many seconds a write took lately.
    """
    took = [event.ended - event.began for event in lately if event.way == WRITE]
    return median(took) / 1e9 if took else 0.01

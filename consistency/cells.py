"""
One cell of the table of faults: a nemesis, and what becomes of commits meanwhile.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from consistency import events
from consistency.crew import Crew
from consistency.environments import interpreter, surroundings
from consistency.excuses import TOLD_AFTER
from consistency.nemeses import Ground, Nemesis, Strike
from consistency.promises import Findings, Promise, find, promise
from consistency.signs import CUT_OFF, NEAR, summed
from tests.services.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from consistency.contenders import Contender
    from consistency.player import Part
    from consistency.stage import Load, Scene, Stage

NO_END = 10**9
LEFT_ALONE = 5.0
"""Seconds for which a store that failed isn't asked, at the most; see `TOLD_AFTER`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How often something happens, and the settings of the cache that go with it.

    With the usual ones a dead writer's fence would stand for longer than a run.
    """

    seconds: float = 20.0
    every: float = 1.0
    lease: float = 1.0
    grace: float = 1.0
    ttl: float = 3.0
    patience: float = 0.05

    @property
    def healing(self) -> float:
        """
        Seconds within which hits are usually back once the store is.

        Nothing is kept for one `lease`, a dead writer's fence stands until its grace is
        over, and nothing is served for a second; then something has to be loaded.
        """
        return self.lease + self.grace + TOLD_AFTER + 1.0

    @property
    def mending(self) -> float:
        """
        Seconds within which they must be: before, the store may still be left alone.
        """
        return self.healing + LEFT_ALONE

    def url(self, store: str, case: Case) -> str:
        """
        Add the settings to a URL.
        """
        settings = {
            "lease": self.lease,
            "orphan_grace": self.grace,
            "ttl": self.ttl,
            "store_timeout": self.patience,
            "on_unreachable": case.on_unreachable,
            "near": case.nemesis.near or "false",
        }
        return f"{store}?{urlencode(settings)}"


PACE = Pace()
"""The usual one."""


@dataclass(frozen=True, slots=True)
class Case:
    """
    What goes wrong, and what becomes of commits that can't be announced.
    """

    nemesis: type[Nemesis]
    on_unreachable: str

    @property
    def promise(self) -> Promise:
        """
        What is promised then.
        """
        return promise(self.nemesis, self.on_unreachable)


@dataclass(frozen=True, slots=True)
class Cell:
    """
    What was done, and what it showed.
    """

    case: Case
    strikes: tuple[Strike, ...]
    found: Findings
    ways: dict[int, list[str]]
    failures: Mapping[str, int]
    signs: Mapping[str, int] = field(default_factory=dict)
    """How often what of `consistency.signs` was seen."""


def play(
    stage: Stage, contender: Contender, load: Load, pace: Pace, case: Case
) -> Cell:
    """
    Have a contender read and write while a nemesis acts, and judge what was seen.
    """
    load, nemesis = replace(load, reads=NO_END, seconds=NO_END), case.nemesis
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(nemesis.store())
        scene = stack.enter_context(stage.opened(load.rows, redis))
        proxies: dict[int, Proxy] = {}
        if nemesis.proxied:
            for process in range(load.processes):
                proxy = Proxy((redis.host, redis.port))
                proxies[process] = stack.enter_context(proxy)

        def store(process: int) -> str:
            way = {"port": proxies[process].port} if proxies else {}
            return pace.url(redis.url(**way), case)

        parts = _parts(scene, contender, load, store)
        crew = stack.enter_context(
            Crew.ready(
                interpreter(contender), parts, surroundings(contender), scene.folder
            )
        )
        dice = random.Random(f"{load.seed} {nemesis.name} {case.on_unreachable}")
        over = threading.Event()
        ground = Ground(redis, proxies, crew, dice, over)
        acting = nemesis(ground)
        strikes = _struck(acting, pace)
        return _judged(crew, case, strikes, acting.seen)


def _parts(
    scene: Scene, contender: Contender, load: Load, store: Callable[[int], str]
) -> list[Part]:
    parts = scene.parts(contender, load)
    return [replace(part, store=store(part.process)) for part in parts]


def _struck(nemesis: Nemesis, pace: Pace) -> list[Strike]:
    """
    Let the crew play, and the nemesis act now and then; at last, let it be got over.
    """
    ground, strikes = nemesis.ground, list[Strike]()
    nemesis.gather()
    ground.crew.begin()
    with _ending(ground.over, pace.seconds):
        # the cache has to be trusted, and filled, before anything is taken from it
        while not ground.over.wait(pace.every if strikes else pace.every + pace.lease):
            strikes.append(nemesis.strike())
    time.sleep(pace.mending)
    nemesis.look()
    for member in ground.crew.members:
        member.dismiss()
    ground.crew.wait(0, told=lambda _events: None)
    return strikes


@contextlib.contextmanager
def _ending(over: threading.Event, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, over.set)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _judged(
    crew: Crew, case: Case, strikes: list[Strike], seen: Mapping[str, int]
) -> Cell:
    logs = (events.read(Path(member.part.log)) for member in crew.members)
    history = list(chain.from_iterable(logs))
    reports = {member.part.process: member.counted() for member in crew.members}
    failures: Counter[str] = Counter()
    for report in reports.values():
        failures.update(report["failures"])
    found = find(history, strikes, near=case.nemesis.near)
    counted = {process: report["signs"] for process, report in reports.items()}
    signs = summed(counted, strikes if case.nemesis.proxied else ())
    signs |= {**seen, CUT_OFF: found.accounts.unknown, NEAR: found.near}
    return Cell(
        case=case,
        strikes=tuple(strikes),
        found=found,
        ways={member.part.process: member.ways for member in crew.members},
        failures=failures,
        signs=signs,
    )

"""
Where a run takes place: a real PostgreSQL and a real store, and what came of the run.

`Stage.play` is made of steps that can be taken one by one (`opened`, `Crew`, `outcome`),
so that whoever wants to do something to servers and processes meanwhile can do so.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from consistency import events
from consistency.crew import Crew
from consistency.data import prepare
from consistency.environments import interpreter, surroundings
from consistency.judge import Verdict, judge
from consistency.places import PLACES, REDIS
from consistency.player import Part
from tests.services import Postgres, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from consistency.contenders import Contender


@dataclass(frozen=True, slots=True)
class Load:
    """
    How many do how much to how many rows; the first `writers` processes also write.
    """

    reads: int
    seconds: float = 3600.0
    processes: int = 5
    writers: int = 2
    tasks: int = 8
    rows: int = 10
    writes: float = 0.025
    """Share of writes in what a writer does."""
    burst: int = 4
    """
    A writer raises a row so many times at once: readers who miss because of one write
    are still at it when the next comes, and then there is quiet.
    """
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a run showed, and what its processes counted.
    """

    verdict: Verdict
    ways: dict[int, list[str]]
    """Of each process, the names of its ways to write and to read."""
    loads: int
    """SELECTs that were sent."""
    failures: Counter[str]
    near: int = 0
    """Reads that were answered without asking anybody."""

    @property
    def hit_ratio(self) -> float:
        """
        Share of the reads that sent no SELECT of their own.
        """
        reads = self.verdict.reads
        return max(0.0, 1 - self.loads / reads) if reads else 0.0


class Shared(Protocol):
    """
    What processes share entries by.
    """

    def url(self) -> str:
        """
        Give its URL.
        """


@dataclass(frozen=True, slots=True)
class Scene:
    """
    What one run has to itself: an empty store, a database with the rows, a folder.
    """

    database: str
    store: Shared
    folder: Path

    def parts(self, contender: Contender, load: Load) -> list[Part]:
        """
        Give each process its part.
        """
        shares = [load.reads // load.processes] * load.processes
        shares[0] += load.reads % load.processes
        return [
            Part(
                contender=contender.module,
                process=process,
                tasks=load.tasks,
                reads=share,
                seconds=load.seconds,
                writes=load.writes if process < load.writers else 0.0,
                burst=load.burst,
                rows=load.rows,
                seed=load.seed,
                database=self.database,
                store=self.store.url(),
                log=str(self.folder / f"{process}.log"),
            )
            for process, share in enumerate(shares)
        ]


@dataclass(frozen=True, slots=True)
class Stage:
    """
    The servers that all runs share.
    """

    postgres: PostgresServer
    store: str = REDIS
    """What is shared by, of `PLACES`."""

    @classmethod
    @contextlib.contextmanager
    def set_up(cls, store: str = REDIS) -> Iterator[Stage]:
        """
        Start a private PostgreSQL.
        """
        with Postgres().running() as postgres:
            yield cls(postgres, store)

    @contextlib.contextmanager
    def opened(self, rows: int, store: Shared | None = None) -> Iterator[Scene]:
        """
        Give what a run needs, and remove it afterwards.
        """
        with contextlib.ExitStack() as stack:
            database = self.postgres.create_database()
            stack.callback(self.postgres.drop_database, database)
            if store is None:
                place = PLACES[self.store](self.postgres, database)
                store = stack.enter_context(place)
            folder = tempfile.TemporaryDirectory(prefix="yc-history-")
            url = database.url("psycopg")
            prepare(url, rows)
            yield Scene(url, store, Path(stack.enter_context(folder)))

    def play(
        self, contender: Contender, load: Load, told: Callable[[int], None]
    ) -> Outcome:
        """
        Have a contender read and write, and judge what was seen.
        """
        python, environment = interpreter(contender), surroundings(contender)
        with self.opened(load.rows) as scene:
            parts = scene.parts(contender, load)
            with Crew.ready(python, parts, environment, scene.folder) as crew:
                crew.begin()
                crew.wait(load.seconds, told)
                return outcome(crew, near=contender.near)


def outcome(crew: Crew, *, near: float = 0.0) -> Outcome:
    """
    Judge what the processes have logged, and sum up what they counted.
    """
    reports = [member.counted() for member in crew.members]
    logs = (events.read(Path(member.part.log)) for member in crew.members)
    history = list(chain.from_iterable(logs))
    failures: Counter[str] = Counter()
    for report in reports:
        failures.update(report["failures"])
    return Outcome(
        verdict=judge(history, near=near),
        ways={member.part.process: member.ways for member in crew.members},
        loads=sum(report["loads"] for report in reports),
        failures=failures,
        near=sum(event.near for event in history),
    )

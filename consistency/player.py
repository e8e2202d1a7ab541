"""
A process of a run: threads or tasks that read and write rows until they are to end.

It is told what to do as JSON in its only argument. It names its ways once all is set
up, begins when it is sent a byte, says now and then how many events it has logged, and
at the end what it counted. When its input ends, so does it: whoever started it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import random
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import count, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consistency.acts import Acts, Awaiting, Blocking, Place
from consistency.events import (
    BEGUN,
    BROKEN,
    REFUSED,
    UNANSWERED,
    WRITE,
    Event,
    Log,
    now,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TELL_EVERY = 0.5
"""Seconds between two words on how far it is."""


@dataclass(frozen=True, slots=True)
class Part:
    """
    What one process is to do.
    """

    contender: str
    process: int
    tasks: int
    reads: int
    seconds: float
    writes: float
    """Share of writes in what it does, from 0 to below 1."""
    burst: int
    """How many writes of one row come in a row."""
    rows: int
    seed: int
    database: str
    store: str
    log: str

    def told(self) -> str:
        """
        Give the argument of the process.
        """
        return json.dumps(asdict(self))


class Player:
    """
    What the threads or tasks of a process share.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.place = Place(part.database, part.store)
        self.failures: Counter[str] = Counter()
        self._log = Log(Path(part.log))
        self._logged = 0
        self._reads = count()
        self._until = 0
        self._over = threading.Event()
        self._signs: Mapping[str, int] = {}

    def play(self, module: Any) -> dict[str, Any]:
        """
        Play the part on a contender; with both faces, every other process has threads.
        """
        faces = [face for face in ("threads", "tasks") if hasattr(module, face)]
        if faces[self.part.process % len(faces)] == "threads":
            self._play_threads(module)
        else:
            asyncio.run(self._play_tasks(module))
        self._over.set()
        self._log.close()
        loads = self.place.loads.total()
        return {"loads": loads, "failures": self.failures, "signs": self._signs}

    def _play_threads(self, module: Any) -> None:
        with module.threads(self.place) as acts:
            self._begin(acts)
            threads = [
                threading.Thread(target=self._thread, args=(acts, task))
                for task in range(self.part.tasks)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self._signs = acts.signs()

    async def _play_tasks(self, module: Any) -> None:
        async with module.tasks(self.place) as acts:
            await asyncio.to_thread(self._begin, acts)
            async with asyncio.TaskGroup() as group:
                for task in range(self.part.tasks):
                    group.create_task(self._task(acts, task))
            self._signs = acts.signs()

    def _begin(self, acts: Acts[Any]) -> None:
        """
        Wait until all processes are ready.
        """
        say(["write", *acts.reads])
        os.read(sys.stdin.fileno(), 1)
        self._until = now() + int(self.part.seconds * 1e9)
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._tell, daemon=True).start()

    def _thread(self, acts: Blocking, task: int) -> None:
        ways = [acts.write, *acts.reads.values()]
        own = self.place.loads.own()
        for way, row in self._moves(task, len(acts.reads)):
            with self._noting(acts, way, task, row, own) as seen:
                seen.append(ways[way](row))

    async def _task(self, acts: Awaiting, task: int) -> None:
        ways = [acts.write, *acts.reads.values()]
        own = self.place.loads.own()
        for way, row in self._moves(task, len(acts.reads)):
            with self._noting(acts, way, task, row, own) as seen:
                seen.append(await ways[way](row))

    def _moves(self, task: int, reads: int) -> Iterator[tuple[int, int]]:
        """
        Draw what a task does next, way and row, until the process has done its part.
        """
        part = self.part
        dice = random.Random(f"{part.seed} {part.process} {task}")
        while now() < self._until and not self._over.is_set():
            row = dice.randint(1, part.rows)
            if dice.random() < part.writes / part.burst:
                yield from repeat((WRITE, row), part.burst)
            elif next(self._reads) < part.reads:
                yield dice.randint(1, reads), row
            else:
                return

    @contextlib.contextmanager
    def _noting(
        self, acts: Acts[Any], way: int, task: int, row: int, own: list[int]
    ) -> Iterator[list[int]]:
        """
        Note what the block sees, or that it failed: then no one knows what came of it.
        """
        began, loaded, seen = now(), own[0], list[int]()
        look_ups = self.place.look_ups
        asked = look_ups.count
        event = Event(row, 0, began, began, self.part.process, task, way)
        if way == WRITE:
            self._log.note(event._replace(way=BEGUN))
        try:
            yield seen
            # the time is taken first, and by then all was done
            event = event._replace(ended=now(), value=seen[0], loaded=own[0] > loaded)
            if way != WRITE and not event.loaded and look_ups.none_since(asked):
                event = event._replace(near=True)
        except Exception as error:  # noqa: BLE001 - whatever a contender raises
            event = event._replace(ended=now(), way=_mark(acts, way, error))
            self.failures[f"{type(error).__name__}: {str(error)[:200]}"] += 1
        self._log.note(event)
        self._logged += 1  # for who watches: threads may lose one

    def _listen(self) -> None:
        # not the file object: that can't be left alone when the interpreter ends
        while os.read(sys.stdin.fileno(), 1):
            pass
        self._over.set()

    def _tell(self) -> None:
        while not self._over.wait(TELL_EVERY):
            say(self._logged)


def _mark(acts: Acts[Any], way: int, error: Exception) -> int:
    if way != WRITE:
        return UNANSWERED
    return REFUSED if isinstance(error, acts.refusals) else BROKEN


def say(word: Any) -> None:
    """
    Tell whoever started the process.
    """
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


def main() -> None:
    part = Part(**json.loads(sys.argv[1]))
    module = importlib.import_module(f"consistency.contenders.{part.contender}")
    say(Player(part).play(module))


if __name__ == "__main__":
    main()

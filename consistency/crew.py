"""
The processes of one run, as whoever started them has them at hand.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from consistency.player import Part

PATIENCE = 300.0
"""
Seconds that a process may take to set up, and to end when its time is up, on a machine
that is busy with other things. One that breaks is noticed at once.
"""
FAREWELL = 20.0
"""Seconds that it may take to end when it is told to."""


class PlayerError(RuntimeError):
    """
    A process ended, or hung, without having said what it counted.
    """


class Member:
    """
    One process; what it has said so far, and its report once it has ended well.
    """

    def __init__(
        self, python: Path, part: Part, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.part = part
        self.logged = 0
        self.begun = False
        self.ways: list[str] = []
        self._report: dict[str, Any] | None = None
        self._killed = False
        self._said: queue.Queue[list[str] | None] = queue.Queue()
        self._errors = folder / f"{part.process}.err"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [python, "-m", "consistency.player", part.told()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
            )
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    def wait_ready(self) -> None:
        """
        Return when it has set up.
        """
        try:
            ways = self._said.get(timeout=PATIENCE)
        except queue.Empty:
            ways = None
        if ways is None:
            raise self.lost("is not ready")
        self.ways = ways

    def begin(self) -> None:
        """
        Let it begin.
        """
        assert self.process.stdin is not None
        self.begun = True
        self.process.stdin.write(b"!")
        self.process.stdin.flush()

    def counted(self) -> dict[str, Any]:
        """
        Give the report of a process that has ended; one that was killed has none.
        """
        self._hearing.join(PATIENCE)
        if self._report is None and not self._killed:
            raise self.lost("ended without a report")
        return self._report or {"loads": 0, "failures": {}, "signs": {}}

    def suspend(self) -> None:
        """
        Let it hang (SIGSTOP); return when it does, or is no more.
        """
        self.process.send_signal(signal.SIGSTOP)
        if self.living:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """
        Let it go on.
        """
        self.process.send_signal(signal.SIGCONT)

    @property
    def living(self) -> bool:
        """
        Tell whether it is at work, so far as is known.
        """
        return self.begun and self.process.poll() is None

    def lost(self, what: str) -> PlayerError:
        """
        Make the error that tells what it complained of last.
        """
        complaint = self._errors.read_text(errors="replace").strip()[-2000:]
        return PlayerError(
            f"process {self.part.process} of {self.part.contender} {what}: {complaint}"
        )

    def kill(self) -> None:
        """
        Kill it as `kill -9` does: what it has logged counts, and it is missed by no one.
        """
        self._killed = True
        self.process.kill()
        self.process.wait()

    def dismiss(self) -> None:
        """
        Tell it to end.
        """
        with contextlib.suppress(BrokenPipeError):
            if self.process.stdin is not None:
                self.process.stdin.close()

    def end(self) -> None:
        """
        Let it end by itself, or kill it if it doesn't.
        """
        self.dismiss()
        try:
            self.process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                word = json.loads(line)
                if isinstance(word, int):
                    self.logged = word
                elif isinstance(word, dict):
                    self._report = word
                else:
                    self._said.put(word)
        self._said.put(None)


def _hired(
    python: Path, environment: Mapping[str, str], folder: Path, part: Part
) -> Member:
    return Member(python, part, environment, folder)


class Crew:
    """
    All processes of a run; whoever watches may kill some, and add others.
    """

    def __init__(
        self, members: list[Member], hire: Callable[[Part], Member] | None = None
    ) -> None:
        self.members = members
        self._first = tuple(members)
        self._hire = hire

    @classmethod
    @contextlib.contextmanager
    def ready(
        cls,
        python: Path,
        parts: Sequence[Part],
        environment: Mapping[str, str],
        folder: Path,
    ) -> Iterator[Crew]:
        """
        Give processes that wait for `begin`; they end with the block.
        """
        members: list[Member] = []
        try:
            hire = partial(_hired, python, environment, folder)
            # one by one: whoever was started is ended below
            members.extend(map(hire, parts))
            for member in members:
                member.wait_ready()
            yield cls(members, hire)
        finally:
            for member in members:
                member.dismiss()
            for member in members:
                member.end()

    def recruit(self, part: Part) -> Member:
        """
        Add a process; once it is ready it waits for its own `begin`.
        """
        assert self._hire is not None
        member = self._hire(part)
        self.members.append(member)
        return member

    def begin(self) -> None:
        """
        Let all begin who were there from the start.
        """
        for member in self._first:
            member.begin()

    def wait(self, seconds: float, told: Callable[[int], None]) -> None:
        """
        Return when all have ended; tell now and then how many events there are.
        """
        until = time.monotonic() + seconds + PATIENCE
        for member in self.members:  # those that are added meanwhile, too
            while member.process.poll() is None:
                if time.monotonic() > until:
                    raise member.lost("hangs")
                told(sum(one.logged for one in self.members))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    member.process.wait(0.2)

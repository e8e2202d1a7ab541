"""
Fences of commits whose connection was lost: kept until the server says it is over.

One watcher a pool asks the server which backends are left, in a daemon thread that
is there while there is something to ask. Where the server can't be asked, or hasn't
answered since, a fence is adopted after `orphan_grace` (rule 4).
"""

from __future__ import annotations

import contextvars
import functools
import threading
from typing import TYPE_CHECKING, Any, Final

from yokedcache.machine import machines
from yokedcache.runtime.clocks import monotonic
from yokedcache.runtime.forks import Guard, after_fork
from yokedcache.runtime.log import logger
from yokedcache.sqlalchemy.transactions.inquiry import inquire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from yokedcache.sqlalchemy.transactions.backends import Backend
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState
    from yokedcache.sqlalchemy.transactions.fences import Fences
    from yokedcache.sqlalchemy.transactions.inquiry import Answers

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 3.0
_GROWTH: Final = 1.5

_PATIENCE: Final = 5.0
"""Seconds after which a question counts as unanswered, once the grace is over."""

_NAME: Final = "yokedcache-orphans"
_UNKNOWN: Final = "a connection was lost in a COMMIT, so its outcome is unknown: "
_ASKING: Final = (
    f"{_UNKNOWN}what it wrote is not cached until the server says that it is over"
)
_WAITING: Final = f"{_UNKNOWN}what it wrote is not cached for %.0f s (%s)"
_ADOPTED: Final = (
    "a COMMIT whose connection was lost is taken to be over: the server couldn't be "
    "asked for %.0f s (%s). If it is carried out later, answers are older than it"
)

_watchers: dict[Any, Watcher] = {}
"""By pool; those whose thread is at work."""
_guard = Guard()


class Orphan:
    """
    A fence without a connection, and the backend that may still commit.
    """

    def __init__(self, fences: Fences, backend: Backend, grace: float) -> None:
        self.fences = fences
        self.backend = backend
        self.grace = grace
        self._heard = monotonic()
        """When it was lost, or last known to be there."""

    @property
    def left(self) -> float:
        """
        How many seconds of the grace period are left.
        """
        return self._heard + self.grace - monotonic()

    def judge(self, answers: Answers) -> None:
        """
        Take an answer, if there is one, and let the fence come down by it.
        """
        answer = answers.get(self.backend)
        if answer is True:
            self._heard = monotonic()
        elif answer is False:
            self.fences.lift()
        elif answer is not None and self.left <= 0 and self.fences.up:
            self.fences.lift()
            logger.warning(_ADOPTED, self.grace, answer)


class Asking:
    """
    One question to a server, in a thread of its own: it may never be answered.
    """

    def __init__(self, pool: Any, backends: Sequence[Backend]) -> None:
        self.answers: Answers | None = None
        self._pool = pool
        self._backends = backends
        self._done = threading.Event()
        if not _start(self._run):
            self._run()

    def wait(self, seconds: float) -> Answers | None:
        """
        Give the answers, if they come in time.
        """
        self._done.wait(seconds)
        return self.answers

    def _run(self) -> None:
        try:
            self.answers = inquire(self._pool, self._backends)
        finally:
            self._done.set()


class Watcher:
    """
    Watches over the orphans of one pool.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._orphans: list[Orphan] = []
        self._arrived = threading.Event()
        self._asking: Asking | None = None

    def add(self, orphans: list[Orphan]) -> None:
        """
        Take orphans over; called with the lock of the module.
        """
        self._orphans += orphans
        self._arrived.set()

    def run(self) -> None:
        """
        Ask until no orphan is left; while no cache is open nobody needs to know.
        """
        pause = _FIRST_PAUSE
        while orphans := self._waiting():
            self._ask(orphans)
            if self._arrived.wait(pause):
                self._arrived.clear()
                pause = _FIRST_PAUSE
            else:
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _waiting(self) -> list[Orphan]:
        with _guard:
            if not machines():
                _lift_all([orphan.fences for orphan in self._orphans])
            self._orphans = [orphan for orphan in self._orphans if orphan.fences.up]
            if not self._orphans and _watchers.get(self._pool) is self:
                del _watchers[self._pool]
            return list(self._orphans)

    def _ask(self, orphans: list[Orphan]) -> None:
        if self._asking is None:
            self._asking = Asking(self._pool, [orphan.backend for orphan in orphans])
        patience = max(_PATIENCE, min(orphan.left for orphan in orphans))
        answers = self._asking.wait(patience)
        if answers is None:
            answers = {orphan.backend: "it doesn't answer" for orphan in orphans}
        else:
            self._asking = None
        for orphan in orphans:
            orphan.judge(answers)


def abandon_orphans(state: ConnectionState) -> None:
    """
    Have fences of unknown outcome watched over: their connection is gone.
    """
    abandoned, state.orphans = state.orphans, []
    if not abandoned:
        return
    grace = max((m.settings.orphan_grace for m in machines()), default=0.0)
    why = _watch(abandoned, grace)
    if why is None:
        logger.warning(_ASKING)
        return
    logger.warning(_WAITING, grace, why)
    _start(functools.partial(_wait_out, abandoned, grace))


def _watch(abandoned: list[Fences], grace: float) -> str | None:
    """
    Begin to ask for the backends of a connection, or name why that can't be done.
    """
    orphans = []
    for fences in abandoned:
        why = fences.backend.unaskable()
        if why is not None:
            return why
        orphans.append(Orphan(fences, fences.backend, grace))
    pool = orphans[0].backend.pool
    with _guard:
        watcher = _watchers.get(pool)
        if watcher is not None:
            watcher.add(orphans)
            return None
        watcher = _watchers[pool] = Watcher(pool)
        watcher.add(orphans)
    if not _start(watcher.run):
        with _guard:
            _watchers.pop(pool, None)
    return None


def _start(deed: Callable[[], None]) -> bool:
    """
    Do something in a thread that keeps nothing alive of who happened to begin it.

    It may not start: the process ends, or has no threads left. Then fences stay.
    """
    thread = threading.Thread(target=deed, name=_NAME, daemon=True)
    try:
        contextvars.Context().run(thread.start)
    except RuntimeError:
        return False
    return True


def _wait_out(abandoned: list[Fences], grace: float) -> None:
    threading.Event().wait(grace)
    _lift_all(abandoned)


def _lift_all(abandoned: list[Fences]) -> None:
    for fences in abandoned:
        fences.lift()


# A child has neither these threads nor the fences: its caches begin anew, and it is
# one of several processes.
after_fork(_watchers.clear)

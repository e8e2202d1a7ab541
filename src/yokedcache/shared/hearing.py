"""
Hears what others change, so that answers near by may be given out for longer: the listener.

A thread asks the shared store again and again what was announced. It is there while
answers near by are looked up; the first look-up after a while, which is asked of the store
in any case, begins it again. What it hears breaks what this process knows of the tags, at
once, and is noted in the `Backplane`, which says how long an answer may be given out.

A question that isn't answered moves nothing, so that answers end by their age. The next
one begins anew then: of what was announced meanwhile it isn't known what came of it.
"""

from __future__ import annotations

import threading
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.backplane import Backplane
from yokedcache.errors import StoreError
from yokedcache.runtime.drive import run
from yokedcache.runtime.log import own_fault
from yokedcache.stores.contract import Following

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.shared.server import Server
    from yokedcache.stores.answers import Followed
    from yokedcache.stores.silent import Asking

PART: Final = 4
"""It is asked so many times within `max_staleness`."""
SOONEST: Final = 0.005
LATEST: Final = 15.0
"""Seconds between two questions, at the least and at most."""
AFTER_FAILURE: Final = 1.0
"""Seconds until it is asked again, at most, once that failed; doubled up to there."""
QUIET: Final = 3
"""Times `max_staleness` without a look-up of answers near by, after which it isn't."""


class Listener:
    """
    Follows one shared store, for one process.

    Args:
        unlearn: breaks what is known here of the tags that a version was drawn for.
        bound: seconds by which what is given out may be too old.
    """

    def __init__(
        self,
        server: Server,
        clock: Callable[[], float],
        unlearn: Callable[[bytes, list[bytes]], None],
        bound: float,
    ) -> None:
        self._server = server
        self._clock = clock
        self._unlearn = unlearn
        self._bound = bound
        self.pause = min(max(bound / PART, SOONEST), LATEST)
        self._most_quiet = QUIET * bound / self.pause + 1
        self._begin()

    def begin_anew(self) -> None:
        """
        Know nothing, in a forked child.
        """
        self._begin()

    def _begin(self) -> None:
        self.backplane = Backplane(self._bound)
        self._position: bytes | None = None
        self._quiet = 0
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def follows(self) -> bool:
        """
        Tell whether what others change is heard now.
        """
        return self._clock() < self.backplane.vouched + self._bound

    def wanted(self) -> None:
        """
        Note that an answer near by was looked up.
        """
        self._quiet = 0
        if self._thread is None:
            self._work()

    def close(self) -> None:
        """
        Ask no more; waits for nobody.
        """
        self._closed.set()

    def poll(self) -> bool:
        """
        Ask once, and hear; tell whether there was an answer.
        """
        perform: Any = self._server.perform
        with self._polling:
            return run(self.polling(), perform)

    def polling(self) -> Asking[bool]:
        """
        Do the same as a conversation.
        """
        commands: Any = self._server.commands
        sent = self._clock()
        try:
            followed = yield commands.follow(self._position)
        except StoreError:
            self._position = None
            return False
        self._hear(followed, sent)
        return True

    def _hear(self, followed: Followed, sent: float) -> None:
        """
        Take in what was told; the order is the one that the backplane asks for.
        """
        arrived = self._clock()
        if followed.told is None:
            self.backplane.begin(sent, arrived)
        else:
            for version, tags in followed.told:
                digests = tags.each()
                self.backplane.hear(digests, arrived)
                self._unlearn(version, digests)
            self.backplane.vouch(sent)
        self._position = followed.position

    def _work(self) -> None:
        with self._lock:
            if self._thread is not None or self._closed.is_set():
                return
            self._thread = threading.Thread(
                target=self._run, name="yokedcache-near", daemon=True
            )
            try:
                # whatever load this is in the middle of, the thread outlives it
                Context().run(self._thread.start)
            except RuntimeError:  # the process ends, or has no threads left
                self._thread = None

    def _run(self) -> None:
        pause = self.pause
        while not self._closed.is_set():
            answered = self._polled()
            pause = self.pause if answered else min(2 * pause, self._latest)
            self._closed.wait(pause)
            with self._lock:
                self._quiet += 1
                if self._quiet > self._most_quiet:
                    self._thread = None
                    return
        # it may have been closed in the middle of a question, which opened it again
        self._server.close()

    @property
    def _latest(self) -> float:
        return max(self.pause, AFTER_FAILURE)

    def _polled(self) -> bool:
        try:
            return self.poll()
        except Exception as error:  # noqa: BLE001 - there is nobody who could be told
            if not self._closed.is_set():
                own_fault(error, "the listener of answers near by")
            return False


def listener(
    server: Server,
    clock: Callable[[], float],
    unlearn: Callable[[bytes, list[bytes]], None],
    bound: float,
) -> Listener | None:
    """
    Give who hears for answers near by, if there are any and the store tells.
    """
    if not bound or not isinstance(server.commands, Following):
        return None
    return Listener(server, clock, unlearn, bound)

"""
What travels with a thread or a task: open captures, and the flights it leads.

Both are context variables, so that tasks and `asyncio.to_thread` inherit them
(and `threads` carries them into other threads);
while any capture is open its stores are watched (see `core.tags.Pulse`), so
that plain hits need not ask.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import ref

from yokedcache.core.capture import Capture
from yokedcache.core.tags import SESSIONS
from yokedcache.runtime.surroundings import note_sessions
from yokedcache.runtime.threads import carry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yokedcache.core.flights import Flight
    from yokedcache.core.tags import Vector
    from yokedcache.stores.memory import MemoryStore


class OpenCapture(Capture):
    """
    A capture under way, the store whose tags it notes, and the one around it.
    """

    __slots__ = ("_reached", "held", "outer", "schemas", "store", "varied", "varies")

    def __init__(
        self,
        store: MemoryStore,
        outer: OpenCapture | None,
        *,
        varied: bool,
        varies: frozenset[Any],
        schemas: frozenset[bytes],
    ) -> None:
        super().__init__()
        self._reached: list[ref[Any]] = []
        self.store = store
        self.outer = outer
        self.varied = varied
        """The function says itself what it varies on."""
        self.varies = varies
        """What of the sessions at hand is part of its key."""
        self.schemas = schemas
        """The maps of schemas that are."""
        self.held: set[Any] = set()
        """Connections of drivers' that were handed out: what is read there is unseen."""

    def reach(self, session: Any) -> None:
        """
        Learn that a session was read through.
        """
        self._reached.append(ref(session))

    def end(self) -> None:
        """
        Learn that the function has ended: sessions still in use were not its own.

        Who around it was handed a connection may have had it read for this one.
        """
        around: OpenCapture | None = self
        while around is not None:
            if around.held:
                self.spoil("raw_connection")
            around = around.outer
        for held in self._reached:
            session = held()
            if session is not None and session.in_transaction():
                self.note(self.store.stamp((SESSIONS,)).vector)
                return

    def demand(
        self, *, own: bool, varies: frozenset[Any], schemas: frozenset[bytes]
    ) -> None:
        """
        Learn what an answer inside varied on: this one must have it in its key, too.
        """
        if self.varied:
            return
        if own or not varies <= self.varies:
            self.spoil("unvaried")
        elif not schemas <= self.schemas:
            self.spoil("schema_translate_map")


_capture: ContextVar[OpenCapture | None] = ContextVar(
    "yokedcache_capture", default=None
)
_chain: ContextVar[tuple[Flight, ...]] = ContextVar("yokedcache_chain", default=())

current_capture = _capture.get
current_chain = _chain.get


@contextmanager
def capturing(
    store: MemoryStore,
    flight: Flight | None,
    *,
    varied: bool,
    varies: frozenset[Any] = frozenset(),
    schemas: frozenset[bytes] = frozenset(),
) -> Iterator[OpenCapture]:
    """
    Open a capture for the block; what it saw is handed on to the one around it.
    """
    note_sessions()
    carry(_capture, _chain)
    outer = _capture.get()
    capture = OpenCapture(store, outer, varied=varied, varies=varies, schemas=schemas)
    token = _capture.set(capture)
    chain = _chain.set((*_chain.get(), flight)) if flight is not None else None
    store.watch()
    try:
        yield capture
    finally:
        store.unwatch()
        _capture.reset(token)
        if chain is not None:
            _chain.reset(chain)
        capture.end()
        capture.closed = True
        if outer is not None:
            outer.absorb(capture)


@contextmanager
def leading(flight: Flight | None) -> Iterator[None]:
    """
    Say in the block that a flight is led here: whoever it waits for is waited for.
    """
    if flight is None:
        yield
        return
    token = _chain.set((*_chain.get(), flight))
    try:
        yield
    finally:
        _chain.reset(token)


def hand_on(vector: Vector) -> None:
    """
    Tell the open capture, if any, what an answer that was served depends on.
    """
    capture = _capture.get()
    if capture is not None:
        capture.note(vector)

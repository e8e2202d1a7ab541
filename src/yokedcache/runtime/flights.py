"""
Waiting for flights: threads and tasks of any loop, side by side.

The decisions are those of `core.flights`; here are the lock around them and the
waking of those who wait. What waiting takes is imported when somebody does:
`asyncio` alone is half of what importing the library would cost.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from yokedcache.core.flights import Caller, Flight, FlightTable, Role, Seat
from yokedcache.runtime.context import current_chain
from yokedcache.runtime.forks import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from concurrent.futures import Future

    from yokedcache.core.operations import Sealed

_lock = Guard()
"""One for all flights of the process: a circle may lead through several caches."""


class Terminal:
    """
    All flights of one cache, and who waits for them: threads, tasks, greenlets.

    `ask` is called when a wait is over, before it is judged whether what came in
    still holds: it looks for changes that nobody announces.
    """

    def __init__(self, timeout: float, ask: Callable[[], None] | None = None) -> None:
        self.timeout = timeout
        self._ask = ask
        self._table = FlightTable()
        self._waiting: WeakKeyDictionary[Flight, set[Future[None]]] = (
            WeakKeyDictionary()
        )

    def ticket(self) -> int:
        """
        Draw the number that says when a caller began.
        """
        with _lock:
            return self._table.ticket()

    def board(
        self,
        key: Hashable,
        *,
        blocking: bool,
        may_lead: bool,
        may_wait: bool,
        once: Hashable = None,
    ) -> Seat:
        """
        Give the calling thread or task its part in the key's flight.
        """
        caller = Caller(
            threading.get_ident(),
            blocking=blocking,
            chain=current_chain(),
            may_lead=may_lead,
            may_wait=may_wait,
        )
        with _lock:
            seat = self._table.board(key, caller, once=once)
            if seat.role is Role.WAIT and seat.flight is not None:
                for led in caller.chain:
                    led.waits.append(seat.flight)
            return seat

    def take_off(self, seat: Seat) -> None:
        """
        Note that the versions of a seat's flight are being taken now.
        """
        if seat.role is Role.LEAD and seat.flight is not None:
            with _lock:
                self._table.take_off(seat.flight)

    def drift(self, seat: Seat) -> bool:
        """
        Let a flight go on at its leader's leisure; false if somebody waits for it.
        """
        with _lock:
            return self._table.drift(seat)

    def resume(self, seat: Seat) -> None:
        """
        Let callers wait for a flight that drifted: its rows are being fetched.
        """
        with _lock:
            self._table.resume(seat, threading.get_ident())

    def flying(self, key: Hashable) -> bool:
        """
        Tell whether somebody is loading a key for everyone who asks.
        """
        with _lock:
            return self._table.flying(key) is not None

    def land(self, seat: Seat, sealed: Sealed | None) -> None:
        """
        End a flight and wake everyone who waits for it; a second time does nothing.
        """
        flight = seat.flight
        if flight is None:
            return
        with _lock:
            if flight.landed:
                return
            self._table.land(flight, sealed)
            waiting = self._waiting.pop(flight, set())
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def stand_down(self, seat: Seat) -> Seat:
        """
        Give up leading, since the answer is there: who waits looks it up, as the caller.
        """
        self.land(seat, None)
        return Seat(Role.WAIT, seat.flight)

    def wait(self, flight: Flight) -> Sealed | None:
        """
        Block until a flight lands or the limit is reached.
        """
        future = self._enlist(flight)
        try:
            future.result(self.timeout)
        except TimeoutError:
            future.cancel()
        finally:
            self._leave(flight, future)
        if self._ask is not None:
            self._ask()
        return flight.sealed

    async def wait_async(self, flight: Flight) -> Sealed | None:
        """
        Await the same without blocking the loop.
        """
        import asyncio

        future = self._enlist(flight)
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), self.timeout)
        except TimeoutError:
            pass
        finally:
            self._leave(flight, future)
        if self._ask is not None:
            self._ask()
        return flight.sealed

    def begin_anew(self) -> None:
        """
        Start anew after a fork: no flight of the parent will land here.
        """
        self.__init__(self.timeout, self._ask)  # type: ignore[misc]

    def _enlist(self, flight: Flight) -> Future[None]:
        from concurrent.futures import Future

        future: Future[None] = Future()
        with _lock:
            if flight.landed:
                future.set_result(None)
            else:
                self._waiting.setdefault(flight, set()).add(future)
        return future

    def _leave(self, flight: Flight, future: Future[None]) -> None:
        with _lock:
            waiting = self._waiting.get(flight)
            if waiting is not None:
                waiting.discard(future)
            for led in current_chain():
                if flight in led.waits:
                    led.waits.remove(flight)

"""
Who loads: one call a process, and where a store is shared one process of all.

Between processes a load is claimed in the store (`shared.claiming`), by the call that
leads a flight in its own. That takes two trips, so a load that was short isn't claimed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.flights import Role
from yokedcache.core.freshness import Verdict
from yokedcache.runtime.context import current_chain
from yokedcache.runtime.switching import in_greenlet, in_loop

if TYPE_CHECKING:
    from collections.abc import Hashable

    from yokedcache.calls import CallHost
    from yokedcache.core.flights import Seat
    from yokedcache.core.operations import Board, Land
    from yokedcache.stores.silent import Asking

CHEAP: Final = 0.005
"""Seconds of a load that isn't worth asking whether another process is at it."""


def take_seat(host: CallHost, key: Hashable) -> Seat:
    """
    Ask for a seat on the flight of a key, in this process.
    """
    scene, terminal = host.scene, host.machine.terminal
    seat = terminal.board(
        key,
        blocking=host.blocking,
        may_lead=not (scene.private or scene.spoiled or scene.vector),
        may_wait=not scene.holds_connection and not scene.private,
    )
    if seat.role is Role.LEAD and not host.anew and _is_there(host, key):
        return terminal.stand_down(seat)
    return seat


def _is_there(host: CallHost, key: Hashable) -> bool:
    """
    Look again: between look-up and boarding another flight may have landed.
    """
    entry = host.machine.store.near(key, host.ticket)
    return entry is not None and host.machine.clock() < entry.soft_until


def boarding(host: CallHost, op: Board) -> Asking[Seat]:
    """
    Lead only if no other process does, as far as that is worth asking.

    Who leads otherwise stands down once the answer of another process is there, or at
    once if what is there may be served meanwhile.
    """
    seat, terminal = take_seat(host, op.key), host.machine.terminal
    if seat.role is not Role.LEAD or host.anew or host.tally.cost < CHEAP:
        return seat
    store: Any = host.machine.store
    stale = host.stale
    try:
        claimed = yield from store.claiming(
            op.key,
            host.given,
            fresh=lambda entry: host.found(entry).verdict is Verdict.FRESH,
            owner=host.tally,
            copy=host.policy.copy,
            patience=terminal.timeout if _may_wait(host) else 0.0,
        )
    except BaseException:
        terminal.land(seat, None)
        raise
    host.claim = claimed.token
    if claimed.entry is not None or (claimed.others and stale):
        return terminal.stand_down(seat)
    return seat


def _may_wait(host: CallHost) -> bool:
    """
    Tell whether a caller may wait for another process.

    Not if there is something to serve, nor if it holds a connection or a load of its
    own, for which others may wait; nor if it holds up an event loop.
    """
    if host.stale or host.scene.holds_connection or current_chain():
        return False
    return not host.blocking or in_greenlet() or not in_loop()


def landing(host: CallHost, op: Land) -> Asking[None]:
    """
    End a flight, and the claim on it.
    """
    host.machine.terminal.land(op.seat, op.sealed)
    claim, host.claim = host.claim, None
    if claim is not None:
        store: Any = host.machine.store
        yield from store.releasing(host.key, claim)

"""
The plans: every decision of the cache, as generators without I/O.

A driver runs a plan by doing what it yields and sending back what came of it;
exceptions, cancellation included, are thrown in at the operation that met them.
Editors: a plan never swallows a `BaseException`, and always lands or lifts
what it began before it lets one out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.flights import Role, Seat
from yokedcache.core.freshness import Verdict
from yokedcache.core.operations import (
    Await,
    Board,
    Commit,
    Fetch,
    HoldFence,
    KeepFence,
    Land,
    LiftFence,
    Load,
    Plan,
    PutFence,
    Refresh,
    Seal,
    Store,
    TakeStamp,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from yokedcache.core.entry import Entry
    from yokedcache.core.flights import Flight
    from yokedcache.core.operations import Found, Loaded, Sealed
    from yokedcache.core.tags import Fence

_ALONE: Final = Seat(Role.ALONE)

MOST_WAITS: Final = 2
"""How many flights a caller waits for, one after the other, before it loads alone."""


class Answer:
    """
    How a call was answered: by an entry, or by what its own load gave.
    """

    __slots__ = ("entry", "how", "loaded", "refused")

    def __init__(
        self,
        how: str,
        *,
        entry: Entry | None = None,
        loaded: Loaded | None = None,
        refused: str | None = None,
    ) -> None:
        self.how = how
        self.entry = entry
        self.loaded = loaded
        self.refused = refused


def answer_call(
    key: Hashable, tags: tuple[str, ...], *, ticket: int, force: bool = False
) -> Plan[Answer]:
    """
    Answer a call of a cached function, by one flight a key.

    `force` takes nothing that was loaded before the call, for `.refresh()`. Cases,
    in order:
    1. a fresh entry answers;
    2. a stale (or early) one answers too, while one caller renews it;
    3. a flight under way is waited for, and taken if it serves this caller;
    4. else this caller loads: leading a flight, or alone.
    """
    alone, waits = False, 0
    while True:
        found = yield from Fetch(key)
        entry, verdict = found.entry, found.verdict
        if verdict is Verdict.FRESH and not force:
            return Answer("hit", entry=entry)
        seat = _ALONE if alone else (yield from Board(key))
        if verdict in (Verdict.STALE, Verdict.EARLY) and not force:
            if seat.role is not Role.LEAD:
                return Answer("stale", entry=entry)
            if (yield from _handed_over(key, tags, seat)):
                return Answer("stale", entry=entry)
        if seat.role is not Role.WAIT or seat.flight is None:
            return (yield from lead(key, tags, seat, found))
        shared, alone = yield from _waited(seat.flight, ticket, anew=force)
        if shared is not None:
            return Answer("joined", entry=shared)
        # loads that fail one after the other would else be waited for one by one
        waits += 1
        alone = alone or waits == MOST_WAITS


def _waited(
    flight: Flight, ticket: int, *, anew: bool = False
) -> Plan[tuple[Entry | None, bool]]:
    """
    Wait for a flight; give what it brought this caller, else whether to go alone.

    Nobody waits twice for what can't be shared, or never came in.
    """
    sealed = yield from Await(flight)
    if flight.serves(ticket, anew=anew) and sealed is not None:
        return sealed.entry, False
    unshared = sealed is not None and sealed.private
    return None, unshared or not flight.landed


def _handed_over(key: Hashable, tags: tuple[str, ...], seat: Seat) -> Plan[bool]:
    """
    Hand a flight to a refresh in the background, or end it if that can't begin.
    """
    try:
        return (yield from Refresh(key, tags, seat))
    except BaseException:
        yield from Land(seat, None)
        raise


def lead(
    key: Hashable, tags: tuple[str, ...], seat: Seat, found: Found | None = None
) -> Plan[Answer]:
    """
    Load, store and hand over. Versions are taken before anything is read (rule 1).
    """
    sealed: Sealed | None = None
    try:
        stamp = yield from TakeStamp(tags, seat)
        loaded = yield from Load()
        sealed = yield from Seal(loaded, stamp)
        refused = sealed.refused
        if sealed.entry is not None and refused is None:
            refused = yield from Store(key, sealed.entry)
    finally:
        if seat.role is Role.LEAD:
            yield from Land(seat, sealed)
    kept = sealed.entry is not None and refused is None
    if loaded.error is not None and found is not None and not kept:
        spare = yield from Fetch(key)
        if spare.entry is not None and spare.verdict is not Verdict.GONE:
            return Answer("fallback", entry=spare.entry)
    return Answer("miss", loaded=loaded, entry=sealed.entry, refused=refused)


def answer_statement(
    key: Hashable, tags: tuple[str, ...], *, ticket: int
) -> Plan[Answer]:
    """
    Answer a statement, by one flight a key.

    Who may neither wait nor lead is told so by `Board`: a session that holds a
    connection. `Load` is answered when the last row was fetched, which is when the
    caller takes it, or at once where somebody waits.
    """
    alone, waits = False, 0
    while True:
        found = yield from Fetch(key)
        if found.verdict is Verdict.FRESH:
            return Answer("hit", entry=found.entry)
        seat = _ALONE if alone else (yield from Board(key))
        if seat.role is not Role.WAIT or seat.flight is None:
            return (yield from lead(key, tags, seat))
        shared, alone = yield from _waited(seat.flight, ticket)
        if shared is not None:
            return Answer("joined", entry=shared)
        waits += 1
        alone = alone or waits == MOST_WAITS


def announce(names: tuple[str, ...]) -> Plan[Any]:
    """
    Fence, bump, commit, bump, lift (rule 2).

    A commit that ended in any exception is of unknown outcome: its fence stays
    up until the connection tells, or is gone (rule 4).
    """
    return (yield from conclude((yield from PutFence(names))))


def conclude(fence: Fence) -> Plan[Any]:
    """
    Commit under a fence that is up, then bump and lift.
    """
    result = yield from _committed_under(fence)
    yield from LiftFence(fence)
    return result


def announce_prepared(names: tuple[str, ...]) -> Plan[Any]:
    """
    Fence, bump, and prepare a commit that is then to be concluded.

    All that may be refused is refused here: what is prepared has to be committed if its
    coordinator says so, as other databases may have done so already.
    """
    fence = yield from PutFence(names)
    result = yield from _committed_under(fence)
    yield from HoldFence(fence)
    return result


def _committed_under(fence: Fence) -> Plan[Any]:
    try:
        return (yield from Commit())
    except BaseException:
        yield from KeepFence(fence)
        raise

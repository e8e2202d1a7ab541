"""
Counts and explanations: what a cache did, and why.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from yokedcache.core.freshness import judge
from yokedcache.core.tags import broken_by

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from yokedcache.core.entry import Tally
    from yokedcache.machine import Machine


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """
    What became of the look-ups of one function, statement shape or key space.
    """

    hits: int
    loads: int
    shared: int
    saved_seconds: float
    refusals: Mapping[str, int]
    bypasses: Mapping[str, int]

    @property
    def hit_ratio(self) -> float:
        """
        Share of look-ups that were answered without a load.
        """
        served = self.hits + self.shared
        return served / (served + self.loads) if served + self.loads else 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Stats:
    """
    What a cache did since it was made, in all and by name.
    """

    total: Counts
    by_name: Mapping[str, Counts]
    entries: int
    bytes: int
    evictions: int
    invalidations: int
    audited: int
    """Hits that were asked of the database again, and compared (`verify=`)."""
    wrong: Mapping[str, int]
    """How many of them differed, by their SQL."""
    tags: int
    several_processes: Mapping[str, str]
    """Databases that other processes use, too, and what says so."""
    store: str = ""
    """How a shared store is used by now: `asked`; `left_alone` for a while, having failed;
    `not_relied_on`, so soon after an outage; `partly_asked`, as one server of several is
    either of that; `takes_nothing`, having failed to keep
    answers. Empty without one."""
    store_misses: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """What it said of what it couldn't give, and how often: `absent`, `changed`, ..."""
    store_losses: int = 0
    """Times that it was met having lost tags, or all it had: restarted, flushed, ..."""
    store_failures: int = 0
    """Operations of a shared store that failed."""
    unreadable: int = 0
    """Look-ups in a shared store that found what can't be read: foreign, damaged, of
    another version."""
    owed: int = 0
    """Changes that a shared store is still to be told of."""
    announced_inside: int = 0
    """Commits that told a shared store by their own transactions, in its database."""
    near: str = ""
    """By what answers near by end now: `heard` (others' changes are), or `age` alone."""


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """
    How something is answered now.
    """

    key: Any
    served: bool
    reason: str
    """`"fresh"`, `"stale"`, ..., or why it isn't served."""
    depends_on: tuple[str, ...] = ()
    fresh_for: float = 0.0
    """Seconds until its TTL ends."""
    sql: str | None = None
    invalidated_by: str | None = None
    """What invalidated it, or anything it depends on, last: a statement or call, and
    its place in the code."""
    loading: bool = False
    """Somebody is loading it: whoever may wait is handed that."""
    refused: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Why results of the function were not stored so far, if this call's isn't."""

    def __str__(self) -> str:
        lines = [f"{'served' if self.served else 'not served'}: {self.reason}"]
        if self.sql:
            lines.append(f"sql: {self.sql}")
        if self.served or self.depends_on:
            lines.append(f"depends on: {', '.join(self.depends_on) or 'time alone'}")
        if self.invalidated_by:
            lines.append(f"last invalidated by: {self.invalidated_by}")
        if self.loading:
            lines.append("being loaded: who asks now and may wait is handed that")
        if self.refused:
            told = (f"{reason} ({number})" for reason, number in self.refused.items())
            lines.append(f"refused before: {', '.join(told)}")
        if self.served:
            lines.append(f"fresh for: {self.fresh_for:.1f} s")
        return "\n".join(lines)


def count(machine: Machine) -> Stats:
    """
    Add up the counts of a cache.
    """
    live: dict[int, tuple[int, float]] = {}
    for entry in list(machine.store.entries.values()):
        hits, saved = live.get(id(entry.owner), (0, 0.0))
        live[id(entry.owner)] = (hits + entry.hits, saved + entry.hits * entry.cost)
    by_name = {
        name: _counts(tally, *live.get(id(tally), (0, 0.0)))
        for name, tally in list(machine.tallies.items())
    }
    return Stats(
        total=_sum(list(by_name.values())),
        by_name=by_name,
        entries=len(machine.store),
        bytes=machine.store.bytes,
        evictions=machine.store.evictions,
        invalidations=machine.invalidations,
        audited=0 if machine.audit is None else machine.audit.checks,
        wrong={} if machine.audit is None else dict(machine.audit.differences),
        tags=len(machine.store.names()),
        several_processes=dict(machine.shared),
        store=machine.store.state,
        store_misses=dict(machine.store.missed),
        store_losses=machine.store.lost,
        store_failures=machine.store.failures,
        unreadable=machine.store.unreadable,
        owed=machine.store.owed,
        announced_inside=machine.store.announced_inside,
        near=machine.store.near_by,
    )


def explain_key(machine: Machine, key: Hashable, bypass: str | None) -> Explanation:
    """
    Tell how a key is answered now.
    """
    if machine.store.shares:  # others may have stored it
        machine.done(machine.looking(key))
    entry = machine.store.entries.get(key)
    loading = machine.terminal.flying(key)
    if bypass is not None:
        return Explanation(key, served=False, reason=bypass)
    if entry is None:
        gone = machine.store.broken.get(key)
        if gone is None:
            return Explanation(key, served=False, reason="not stored", loading=loading)
        return _broken(machine, key, gone)
    tags = (str(tag.name) for tag, _ in entry.vector)
    # a name that ends in a colon is of the library's own affairs
    names = tuple(name for name in tags if not name.endswith(":"))
    broken = broken_by(entry.vector)
    if broken is not None:
        return _broken(machine, key, broken, names)
    verdict = judge(entry, machine.clock())
    left = max(0.0, entry.fresh_until - machine.clock())
    return Explanation(
        key,
        served=machine.done(machine.looking(key)) is not None,
        reason=verdict.value,
        depends_on=names,
        fresh_for=left,
        invalidated_by=blamed(machine, names),
        loading=loading,
    )


def blamed(machine: Machine, names: Iterable[Hashable]) -> str | None:
    """
    Tell what invalidated any of these tags last, if that is remembered.
    """
    cause = machine.causes.last(names)
    return None if cause is None else str(cause)


def _broken(
    machine: Machine, key: Hashable, name: Hashable, names: tuple[str, ...] = ()
) -> Explanation:
    return Explanation(
        key,
        served=False,
        reason=f"{name} was invalidated",
        depends_on=names,
        invalidated_by=blamed(machine, (name,)),
        loading=machine.terminal.flying(key),
    )


def _counts(tally: Tally, hits: int, saved: float) -> Counts:
    return Counts(
        hits=tally.hits + hits,
        loads=tally.loads,
        shared=tally.shared,
        saved_seconds=tally.saved + saved,
        refusals=dict(tally.refusals),
        bypasses=dict(tally.bypasses),
    )


def _sum(parts: list[Counts]) -> Counts:
    return Counts(
        hits=sum(part.hits for part in parts),
        loads=sum(part.loads for part in parts),
        shared=sum(part.shared for part in parts),
        saved_seconds=sum(part.saved_seconds for part in parts),
        refusals=_merged([part.refusals for part in parts]),
        bypasses=_merged([part.bypasses for part in parts]),
    )


def _merged(parts: list[Mapping[str, int]]) -> dict[str, int]:
    merged: dict[str, int] = {}
    for part in parts:
        for reason, number in part.items():
            merged[reason] = merged.get(reason, 0) + number
    return merged

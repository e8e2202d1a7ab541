"""
What is promised under a fault, and what of it a history breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consistency.accounts import Accounts, account
from consistency.events import MARKS, UNANSWERED, WRITE
from consistency.excuses import unexcused, unheard
from consistency.hits import hits_of, reads_of
from consistency.judge import Verdict, Violation, judge
from consistency.recovery import Recovery, recovery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consistency.events import Event
    from consistency.nemeses import Nemesis, Strike

SLOWEST: Final = 10.0
"""
Seconds that a read may take. What is promised is `store_timeout` (50 ms) on top of the
loader; but the loader asks a database, and the machine has other things to do.
"""


@dataclass(frozen=True, slots=True)
class Promise:
    """
    What holds in one cell of the table.
    """

    bounded: bool = False
    """
    A commit of whoever is cut off may be missed, for no longer than the outage and an
    entry's TTL. Else no read is older than what was before it.
    """
    refusals: bool = False
    """Commits may be refused, before they are sent."""
    near: float = 0.0
    """What others have committed may be missed for so many seconds."""

    def __str__(self) -> str:
        stale = "none older than outage + TTL" if self.bounded else "0 stale"
        if self.near:
            stale = f"0 stale by more than {self.near:g} s"
        return f"{stale}, commits may be refused" if self.refusals else stale


def promise(nemesis: type[Nemesis], on_unreachable: str) -> Promise:
    """
    Give what the docs promise.
    """
    refuses = on_unreachable == "refuse"
    bounded = nemesis.reach == "one" and not refuses
    return Promise(bounded=bounded, refusals=refuses, near=nemesis.near)


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What a cell's history shows.
    """

    verdict: Verdict
    others: Verdict
    """The same, if nobody had to see what the victims couldn't tell."""
    backwards: tuple[Violation, ...]
    """Reads that went back, though what they missed could be told."""
    accounts: Accounts
    recovery: Recovery
    hits: float
    """Share of the reads since the end of the first strike that the cache answered."""
    near: int
    """How many of these reads were answered without asking anybody."""
    outage: int
    """Nanoseconds that the longest strike took."""
    slowest: int
    """Nanoseconds that a read took, answered or not."""


def find(
    history: Sequence[Event], strikes: Sequence[Strike], *, near: float = 0.0
) -> Findings:
    """
    Judge a history.
    """
    reads = reads_of(history)
    since = strikes[0].ended if strikes else 0
    later = sum(read.began > since for read in reads)
    hits = sum(hit.began > since for hit in hits_of(reads))
    verdict, excused = judge(history, near=near), unheard(history, strikes)
    return Findings(
        verdict=verdict,
        others=judge((e for e in history if e not in excused), near=near),
        backwards=tuple(unexcused(verdict.backwards, excused)),
        accounts=account(history),
        recovery=recovery(reads, strikes),
        near=sum(read.near and read.began > since for read in reads),
        hits=hits / later if later else 0.0,
        slowest=max((e.ended - e.began for e in history if _is_read(e)), default=0),
        outage=max((strike.ended - strike.began for strike in strikes), default=0),
    )


def breaches(promise: Promise, found: Findings, *, ttl: float) -> list[str]:
    """
    List what of a promise was broken.
    """
    accounts = found.accounts
    limit = found.outage + int(ttl * 1e9) if promise.bounded else 0
    verdict = found.others if promise.bounded else found.verdict
    backwards = found.backwards if promise.bounded else found.verdict.backwards
    told = [
        (len(verdict.stale), "stale reads"),
        (len(backwards), "reads that went back"),
    ]
    if promise.bounded:
        told.append((_older(found.verdict, limit), "reads older than outage and TTL"))
    told += [
        (accounts.unanswered, "reads that failed"),
        (accounts.broken, "writes that failed"),
        (accounts.unaccounted, "commits made that were said not to be"),
    ]
    if not promise.refusals:
        told.append((accounts.refused, "refused commits"))
    said = [f"{number:,} {what}" for number, what in told if number]
    if found.slowest > SLOWEST * 1e9:
        said.append(f"a read took longer than {SLOWEST:g} s")
    return said


def _is_read(event: Event) -> bool:
    return event.way == UNANSWERED or event.way not in {WRITE, *MARKS}


def _older(verdict: Verdict, limit: int) -> int:
    violations = {one.read for one in verdict.stale if one.age > limit}
    return len(violations | {b.read for b in verdict.backwards if b.age > limit})

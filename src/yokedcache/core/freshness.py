"""
What may be done with an entry that was found: a pure judgement.

Stale options stretch time, never validity (rule 12): an entry whose vector
doesn't hold is `GONE`, whatever its options say.

Early refresh is XFetch (Vattani, Chierichetti, Lowenstein: Optimal
Probabilistic Cache Stampede Prevention, 2015): a reader refreshes early when
`now + cost * beta * -ln(draw) >= expiry`.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Final

from yokedcache.core.tags import holds

if TYPE_CHECKING:
    from yokedcache.core.entry import Entry

EARLY_REACH: Final = 21.0
"""-ln of the smallest draw that matters: below 1e-9 nobody refreshes early."""


class Verdict(enum.Enum):
    """
    What a look-up may do with an entry.
    """

    FRESH = "fresh"
    EARLY = "early"  # fresh, and this reader was drawn to renew it ahead of time
    STALE = "stale"  # past its TTL, servable while one caller refreshes
    FALLBACK = "fallback"  # only when loading fails
    GONE = "gone"


def judge(entry: Entry, now: float, *, beta: float = 0.0, draw: float = 1.0) -> Verdict:
    """
    Judge an entry at a moment; `draw` is a uniform random number in (0, 1].
    """
    if not holds(entry.vector):
        return Verdict.GONE
    if now < entry.fresh_until:
        gain = entry.cost * beta * -math.log(draw) if beta else 0.0
        return Verdict.EARLY if now + gain >= entry.fresh_until else Verdict.FRESH
    if now < entry.stale_until:
        return Verdict.STALE
    return Verdict.FALLBACK if now < entry.error_until else Verdict.GONE


def early_window(cost: float, beta: float, ttl: float) -> float:
    """
    Give how long before expiry a reader may be drawn to refresh, in seconds.
    """
    return min(cost * beta * EARLY_REACH, ttl)

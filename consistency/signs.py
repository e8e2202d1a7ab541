"""
By what it is seen that a fault was one: counts, by these names.

Some a contender's cache counts (`signs_of`), some a nemesis sees at the server, and some
the history shows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from consistency.nemeses import Strike
    from yokedcache import YokedCache

FAILURES: Final = "store failures"
"""
Operations of the cache that failed; where one process after the other was cut off, of
the one that had fewest.
"""
LOSSES: Final = "losses"
"""Times that a cache met a server that had lost tags, or all that it had."""
EVICTED: Final = "keys evicted"
UNKNOWN_SCRIPTS: Final = "scripts asked for in vain"
FORGOTTEN: Final = "changes forgotten"
"""What a server was told and knows no more, having come back as it was before."""
CAME_BACK: Final = "entries back"
"""Entries that it came back with."""
UNHEARD: Final = "listeners refused"
NEAR: Final = "answers near by"
CUT_OFF: Final = "writes cut off"
"""Those that were under way when their process was killed."""
LEFT_FENCES: Final = "fences left"
"""Those of a killed writer that stand with nobody to take them down."""


def signs_of(cache: YokedCache) -> dict[str, int]:
    """
    Give what a cache counted.
    """
    stats = cache.stats()
    return {FAILURES: stats.store_failures, LOSSES: stats.store_losses}


def summed(
    counted: Mapping[int, Mapping[str, int]], strikes: Iterable[Strike]
) -> dict[str, int]:
    """
    Add up what processes counted; failures are those of whichever victim had fewest.
    """
    sums: Counter[str] = Counter()
    for signs in counted.values():
        sums.update(signs)
    if victims := {one.victim for one in strikes if one.victim is not None}:
        sums[FAILURES] = min(counted[victim].get(FAILURES, 0) for victim in victims)
    return dict(sums)

"""
What a cell must have shown, or it proves nothing: a cache that answers, and heals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consistency.cells import Cell, Pace

LEAST_HITS: Final = 0.01
"""A cache that answered a smaller share of the reads after the first fault proves nothing."""


def lacking(cell: Cell, pace: Pace) -> list[str]:
    """
    Say why a cell proves nothing.
    """
    if not cell.strikes:
        return ["nothing was tested: there was no fault"]
    if not cell.found.accounts.written:
        return ["nothing was tested: nothing was written"]
    return [*_unbitten(cell), *_unhealed(cell, pace)]


def _unbitten(cell: Cell) -> Iterator[str]:
    """
    Say what the fault ought to have been seen to do.
    """
    nemesis = cell.case.nemesis
    for sign in nemesis.shows:
        if not cell.signs.get(sign):
            yield f"the fault was not tested: there were no {sign}"
    # of a failover it isn't known how long it takes; the others begin with their longest
    lasts = nemesis.reach != "nobody" and nemesis.lengths
    if lasts and cell.case.promise.refusals and not cell.found.accounts.refused:
        yield (
            "refusing was not tested: no commit was refused, and the longest outage took "
            f"{cell.found.outage / 1e9:.1f} s"
        )


def _unhealed(cell: Cell, pace: Pace) -> Iterator[str]:
    """
    Say where hits had to be seen.

    After the last fault there is all the time that it takes. Between two of them it may
    be too short; where it is as usual, at least half must have been got over in it.
    """
    found = cell.found
    if found.hits < LEAST_HITS:
        yield f"only {found.hits:.1%} of the reads after the first fault were hits"
    *between, last = found.recovery.times
    if last is None:
        yield f"hits were not back {pace.mending:g} s after the last fault"
    gaps = [
        (after.began - strike.mended, healed is not None)
        for strike, after, healed in zip(
            cell.strikes, cell.strikes[1:], between, strict=False
        )
    ]
    late = sum(not ok for gap, ok in gaps if gap >= pace.mending * 1e9)
    if late:
        yield f"hits were not back {pace.mending:g} s after {late} of the faults"
    usual = [ok for gap, ok in gaps if gap >= pace.healing * 1e9]
    # of one alone it says little: a busy machine has unusual moments
    if len(usual) > 1 and 2 * sum(usual) < len(usual):
        yield (
            f"hits were back after {sum(usual)} of {len(usual)} faults that "
            f"{pace.healing:g} s or more were left for"
        )

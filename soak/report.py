"""
What a soak showed, and what of it fails the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from soak.vitals import GROWTH, growth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soak.load import Seen

COLUMNS: Final = (
    "",
    "reads/s",
    "p50",
    "p99",
    "writes/s",
    "p99",
    "hits",
    "stale",
    "errors",
    "memory",
    "grew",
    "store",
    "grew",
)
_WIDTH: Final = 10
LEAST_HITS: Final = 0.1
"""A cache that answered a smaller share of the reads shows nothing."""


@dataclass(frozen=True, slots=True)
class Phase:
    """
    One application under load: with the cache, or without.
    """

    title: str
    seconds: float
    seen: Seen
    memory: tuple[int, ...]
    """Bytes of all its processes, sampled at even distances."""
    stored: tuple[int, ...]
    """Bytes of what the store holds, sampled at the same moments."""
    hits: int
    """Of one worker, as all others count for themselves."""
    loads: int

    @property
    def hit_share(self) -> float:
        """
        Which share of what was asked of the cache it answered.
        """
        asked = self.hits + self.loads
        return self.hits / asked if asked else 0.0


def head() -> str:
    """
    Give the table's head.
    """
    return _row(COLUMNS)


def line(phase: Phase) -> str:
    """
    Give a phase's line.
    """
    seen = phase.seen
    return _row(
        (
            phase.title,
            f"{len(seen.reads) / phase.seconds:,.0f}",
            *(f"{at * 1000:,.1f} ms" for at in _at(seen.reads)),
            f"{len(seen.writes) / phase.seconds:,.0f}",
            f"{_at(seen.writes)[1] * 1000:,.1f} ms",
            f"{phase.hit_share:.0%}",
            f"{seen.stale:,}",
            f"{seen.errors.total():,}",
            f"{phase.memory[-1] / 2**20:,.0f} MiB",
            f"{growth(phase.memory) - 1:+.1%}",
            f"{phase.stored[-1] / 2**20:,.1f} MiB",
            f"{growth(phase.stored) - 1:+.1%}",
        )
    )


def complaints(phase: Phase, *, caches: bool) -> list[str]:
    """
    List what fails a phase.
    """
    seen = phase.seen
    found = [f"{number:,} times {what}" for what, number in seen.errors.most_common(5)]
    if seen.stale:
        found.append(f"{seen.stale:,} reads older than a write before them")
    if not seen.reads or not seen.writes:
        found.append("nothing was tested")
    for what, samples in (("memory", phase.memory), ("the store", phase.stored)):
        if growth(samples) > GROWTH:
            found.append(f"{what} grew to {growth(samples):.2f} of what it was")
    if caches and phase.hit_share < LEAST_HITS:
        found.append(f"only {phase.hit_share:.1%} of the reads were hits")
    return [f"{phase.title}: {one}" for one in found]


def _at(times: Sequence[float]) -> tuple[float, float]:
    """
    Give the median and the 99th percentile.
    """
    if len(times) < 2:
        return (0.0, 0.0)
    parts = quantiles(times, n=100)
    return parts[49], parts[98]


def _row(cells: Sequence[str]) -> str:
    first, *rest = cells
    return f"{first:<14}" + "".join(f"{cell:>{_WIDTH}}" for cell in rest)

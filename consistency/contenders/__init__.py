"""
The contenders: one module each, run in the environment that it asks for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contender:
    """
    What is known of a contender without importing it.
    """

    module: str
    title: str
    reads: int = 100_000
    peers: bool = False
    """It has pins in `peers`, and an environment of its own."""
    must_hold: bool = False
    """A violation fails the run."""
    must_hit: bool = False
    """So does a cache that answers next to nothing, for that would show nothing."""
    near: float = 0.0
    """Seconds for which it may give out again what it was told."""


CONTENDERS = {
    contender.module: contender
    for contender in (
        Contender("uncached", "no cache", must_hold=True),
        Contender("yokedcache", "yokedcache", 1_000_000, must_hold=True, must_hit=True),
        Contender(
            *("near", "yokedcache, near=0.1", 1_000_000),
            must_hold=True,
            must_hit=True,
            near=0.1,
        ),
        Contender("by_hand", "by hand: get, set, delete"),
        Contender("namesake", "yokedcache 1.1.0 (PyPI)", peers=True),
        Contender("cashews", "cashews", peers=True),
        Contender("advanced_alchemy", "advanced-alchemy", peers=True),
    )
}
"""All contenders, by the name that `--only` takes."""

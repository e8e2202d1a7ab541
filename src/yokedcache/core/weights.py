"""
About how many bytes a value takes in memory, at a bounded cost.

The memory store keeps to a number of bytes, and asks once for each value. Big
values are sampled: some items of each container are weighed, the others are
taken to weigh as much on average.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.classes import field_names, is_struct, state

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

NODES: Final = 512
"""Parts that one weighing may look at, about."""

SHARE: Final = 0.6
"""Which power of its budget a container spends on width; the rest is depth."""

_LEAVES: Final = frozenset(
    {int, float, bool, str, bytes, bytearray, type(None), complex}
)

_SHALLOW: Final = 64
"""What a part is taken to weigh when the budget is spent."""


def weigh(value: Any) -> int:
    """
    Estimate the bytes that a value and its parts take in memory.
    """
    return int(_weigh(value, NODES))


def _weigh(value: Any, budget: int) -> float:
    own = sys.getsizeof(value, _SHALLOW)
    if type(value) in _LEAVES:
        return own
    if isinstance(value, dict):
        pairs = _mean(value.values(), budget) + _mean(value, budget)
        return own + len(value) * pairs
    if isinstance(value, (list, tuple, set, frozenset)):
        return own + len(value) * _mean(value, budget)
    if isinstance(value, (str, bytes, int, float, type)):
        return own
    parts = _parts(value)
    return own + len(parts) * _mean(parts.values(), budget)


def _mean(parts: Collection[Any], budget: int) -> float:
    if not parts:
        return 0.0
    if budget < 1:
        return _SHALLOW
    width = min(len(parts), max(1, int(budget**SHARE)))
    sample = _sample(parts, width)
    if _LEAVES.issuperset(map(type, sample)):
        return sum(map(sys.getsizeof, sample)) / width
    each = budget // width - 1
    return sum(_weigh(part, each) for part in sample) / width


def _sample(parts: Collection[Any], width: int) -> Sequence[Any]:
    if isinstance(parts, (list, tuple)):  # even steps: the first rows may be odd
        return parts[:: len(parts) // width][:width]
    return list(islice(parts, width))


def _parts(value: Any) -> dict[str, Any]:
    cls = type(value)
    if is_struct(cls):
        return {name: getattr(value, name) for name in field_names(cls) or ()}
    return state(value)

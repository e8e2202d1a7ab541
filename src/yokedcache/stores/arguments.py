"""
What operations are given, as stores take it: durations, and tokens of fences.
"""

from __future__ import annotations

import math
from typing import Final

from yokedcache.errors import UsageError
from yokedcache.stores.answers import BORN

LONGEST: Final = 10**12
"""Milliseconds that anything is told to live, at most: some thirty years."""


def milliseconds(seconds: float) -> int:
    """
    Return a duration as stores take it, one at the least.
    """
    if math.isnan(seconds) or seconds <= 0:
        raise UsageError(f"{seconds!r} seconds is no time to live")
    return math.ceil(min(seconds, LONGEST / 1000) * 1000)


def check_token(token: bytes) -> None:
    """
    Refuse what no fence may be known by.
    """
    fine = bool(token) and token.replace(b"-", b"").replace(b"_", b"").isalnum()
    if token == BORN or not fine:
        raise UsageError(f"{token!r} is no token of a fence")

"""
aiocache in memory, as it comes.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from aiocache import cached

_numbers = count()


def asynchronous(function: Any) -> Any:
    return cached(ttl=300, namespace=f"f{next(_numbers)}")(function)

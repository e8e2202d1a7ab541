"""
`functools.lru_cache`: the standard library's, in C, without a TTL.
"""

from __future__ import annotations

import functools
from typing import Any


def synchronous(function: Any) -> Any:
    return functools.lru_cache(maxsize=1024)(function)

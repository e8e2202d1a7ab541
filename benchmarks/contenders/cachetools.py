"""
cachetools with a lock, as its documentation asks for under threads.
"""

from __future__ import annotations

import threading
from typing import Any

from cachetools import TTLCache, cached


def synchronous(function: Any) -> Any:
    return cached(TTLCache(1024, 300), lock=threading.Lock())(function)

"""
cachebox as it comes: a lock against stampedes, a copy of mutable results.
"""

from __future__ import annotations

from typing import Any

import cachebox


def asynchronous(function: Any) -> Any:
    return cachebox.cached(cachebox.TTLCache(1024, 300))(function)


synchronous = asynchronous

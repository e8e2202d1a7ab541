"""
cachebox without its lock and its copies.
"""

from __future__ import annotations

from typing import Any

import cachebox


def asynchronous(function: Any) -> Any:
    store = cachebox.TTLCache(1024, 300)
    return cachebox.cached(store, lock=None, postprocess=None)(function)


synchronous = asynchronous

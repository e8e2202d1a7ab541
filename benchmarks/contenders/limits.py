"""
What can't be undercut: a coroutine or function around a dictionary look-up.
"""

from __future__ import annotations

from typing import Any


def asynchronous(function: Any) -> Any:  # noqa: ARG001
    values = {(1, 10): 11}

    async def bare(a: int, limit: int = 10) -> int:
        return values[a, limit]

    return bare


def synchronous(function: Any) -> Any:  # noqa: ARG001
    values = {(1, 10): 11}

    def bare(a: int, limit: int = 10) -> int:
        return values[a, limit]

    return bare

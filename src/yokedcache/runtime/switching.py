"""
Whether blocking code runs in an event loop, or in a greenlet that can wait in one.

SQLAlchemy's `AsyncSession` runs blocking code in such greenlets. The part that knows
SQLAlchemy says here how to tell, and how to wait; until then there are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def _nowhere() -> bool:
    return False


_tell: Callable[[], bool] = _nowhere
_wait: Callable[[Awaitable[Any]], Any] | None = None


def install(tell: Callable[[], bool], wait: Callable[[Awaitable[Any]], Any]) -> None:
    """
    Say how greenlets are told, and how they wait.
    """
    global _tell, _wait
    _tell, _wait = tell, wait


def in_greenlet() -> bool:
    """
    Tell whether the caller runs in a greenlet that can wait in its loop.
    """
    return _tell()


def awaited(waiting: Awaitable[Any]) -> Any:
    """
    Have the loop wait, and give what came of it.
    """
    if _wait is None:  # pragma: no cover - nobody is in a greenlet then
        raise RuntimeError("no greenlets are known")
    return _wait(waiting)


def in_loop() -> bool:
    """
    Tell whether the caller holds up an event loop, greenlets in one included.

    For a cache whose store is shared: `asyncio` is imported by then.
    """
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

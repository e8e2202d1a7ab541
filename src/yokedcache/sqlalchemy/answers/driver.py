"""
The greenlet driver: how a plan waits inside SQLAlchemy's `AsyncSession`.

There blocking code runs in a greenlet of a task. What would block switches to the
event loop instead, and is switched back to. Code that runs in no such greenlet, a
blocking session or a `sync_engine` used plainly, waits as a thread does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.runtime.drive import switching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.util.concurrency import await_only, in_greenlet

    from yokedcache.core.operations import Op
    from yokedcache.runtime.drive import AsyncHost
else:
    try:
        import greenlet  # noqa: F401 - both names exist, and fail, without it
        from sqlalchemy.util.concurrency import await_only, in_greenlet
    except ImportError:
        await_only = None

        def in_greenlet() -> bool:
            """
            Say no: there are no greenlets.
            """
            return False


__all__ = ["in_greenlet", "performer", "wait"]


def wait(waiting: Awaitable[Any]) -> Any:
    """
    Have the loop wait, in a greenlet.
    """
    return await_only(waiting)


def performer(host: AsyncHost) -> Callable[[Op[Any]], Any]:
    """
    Give what does a plan's operations where the caller is: in a greenlet, or a thread.
    """
    return switching(host, await_only) if in_greenlet() else host.perform

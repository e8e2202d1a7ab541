"""
SQLAlchemy's async classes, or stand-ins that nothing is an instance of.

From 2.1 on they can't be imported where greenlet isn't installed, which is
wherever nobody uses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import (
        AsyncConnection,
        AsyncEngine,
        AsyncSession,
        async_scoped_session,
        async_sessionmaker,
    )
else:
    try:
        from sqlalchemy.ext.asyncio import (
            AsyncConnection,
            AsyncEngine,
            AsyncSession,
            async_scoped_session,
            async_sessionmaker,
        )
    except ImportError:

        class AsyncConnection:
            """
            Stands for `sqlalchemy.ext.asyncio.AsyncConnection`.
            """

        class AsyncEngine:
            """
            Stands for `sqlalchemy.ext.asyncio.AsyncEngine`.
            """

        class AsyncSession:
            """
            Stands for `sqlalchemy.ext.asyncio.AsyncSession`.
            """

        class async_scoped_session:  # noqa: N801 - SQLAlchemy's name
            """
            Stands for `sqlalchemy.ext.asyncio.async_scoped_session`.
            """

        class async_sessionmaker:  # noqa: N801 - SQLAlchemy's name
            """
            Stands for `sqlalchemy.ext.asyncio.async_sessionmaker`.
            """


__all__ = [
    "AsyncConnection",
    "AsyncEngine",
    "AsyncSession",
    "async_scoped_session",
    "async_sessionmaker",
]

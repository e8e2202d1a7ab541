"""
The blog's cache and its session makers: ordinary ones, and ones behind the cache.

Adding yokedcache took the lines with `cache` in them; nothing else changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from yokedcache import YokedCache, cached_dependency

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

cache = YokedCache()

PlainSession = sessionmaker()
AsyncPlainSession = async_sessionmaker()
AttachedSession = cache.attach(sessionmaker())


def get_session() -> Iterator[Session]:
    """
    What a web framework injects into its handlers.
    """
    with PlainSession() as session:
        yield session


get_cached_session = cached_dependency(get_session, cache=cache, ttl="10m")


def connect(file: Path) -> tuple[Engine, AsyncEngine]:
    """
    Point all session makers at one SQLite file, through two drivers.
    """
    engine = create_engine(f"sqlite:///{file}")
    async_engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    for each in (engine, async_engine.sync_engine):
        event.listen(each, "connect", _pragmas)
    PlainSession.configure(bind=engine)
    AttachedSession.configure(bind=engine)
    AsyncPlainSession.configure(bind=async_engine)
    return engine, async_engine


def _pragmas(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()

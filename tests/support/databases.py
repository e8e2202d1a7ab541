"""
Databases with a small blog in them, each with its statements counted.

A `Blog` is for blocking code, an `AsyncBlog` for the event loop; both know how to
make plain sessions and sessions attached to a cache.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import StaticPool, create_engine, event
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, sessionmaker

from tests.support.models import Base, people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from yokedcache import YokedCache


STATEMENT_LEVEL = {"isolation_level": "READ COMMITTED"}
"""
Options of an engine that is cached on MariaDB, whose own default isn't.
"""


class Statements:
    """
    The statements that reached an engine's cursors.
    """

    def __init__(self, engine: Engine) -> None:
        self.sent: list[str] = []
        event.listen(engine, "after_cursor_execute", self._note)

    def _note(self, _c: Any, _k: Any, statement: str, *_: Any) -> None:
        self.sent.append(statement)

    @contextlib.contextmanager
    def counted(self) -> Iterator[list[str]]:
        """
        Give a list that holds, after the block, what the block sent.
        """
        began = len(self.sent)
        sent: list[str] = []
        yield sent
        sent += self.sent[began:]


class Blog:
    """
    A blog in a database, for blocking code.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sessions = sessionmaker(engine)
        self.statements = Statements(engine)
        Base.metadata.create_all(engine)
        with self.sessions.begin() as session:
            session.add_all(people())

    def attached(self, cache: YokedCache, **options: Any) -> sessionmaker[Session]:
        """
        Make sessions that are answered from a cache; `sessions` stays as it is.
        """
        given = {
            name: options.pop(name)
            for name in ("ttl", "tables", "vary")
            if name in options
        }
        maker = sessionmaker(self.engine, **options)
        cache.attach(maker, **given)
        return maker

    def counted(self) -> contextlib.AbstractContextManager[list[str]]:
        """
        Give the list of what the block sends.
        """
        return self.statements.counted()


class AsyncBlog:
    """
    A blog in a database, for the event loop.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.sessions = async_sessionmaker(engine)
        self.statements = Statements(engine.sync_engine)

    async def fill(self) -> AsyncBlog:
        """
        Make the tables and the first users.
        """
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with self.sessions.begin() as session:
            session.add_all(people())
        return self

    def attached(
        self, cache: YokedCache, **options: Any
    ) -> async_sessionmaker[AsyncSession]:
        """
        Make sessions that are answered from a cache; `sessions` stays as it is.
        """
        maker = async_sessionmaker(self.engine, **options)
        cache.attach(maker)
        return maker

    def counted(self) -> contextlib.AbstractContextManager[list[str]]:
        """
        Give the list of what the block sends.
        """
        return self.statements.counted()


def sqlite_file(directory: Path) -> str:
    """
    Make a database file in which a reader doesn't keep a writer from committing.
    """
    file = directory / "blog.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return str(file)


@contextlib.contextmanager
def blog_at(url: str, **options: Any) -> Iterator[Blog]:
    """
    Give a blog in the database at a URL.
    """
    engine = create_engine(url, **options)
    try:
        yield Blog(engine)
    finally:
        engine.dispose()


def twin(engine: Engine, **options: Any) -> Engine:
    """
    Make another engine on the same database, at the same isolation level.
    """
    level: Any = engine.dialect._on_connect_isolation_level  # type: ignore[attr-defined]
    return create_engine(engine.url, isolation_level=level, **options)


@contextlib.contextmanager
def blog_in_memory() -> Iterator[Blog]:
    """
    Give a blog over one connection, as the tests of many apps have it.
    """
    options: dict[str, Any] = {
        "poolclass": StaticPool,
        "connect_args": {"check_same_thread": False},
    }
    with blog_at("sqlite://", **options) as blog:
        yield blog


@contextlib.asynccontextmanager
async def async_blog_at(url: str, **options: Any) -> Any:
    """
    Give a blog in the database at a URL of an async driver.
    """
    engine = create_async_engine(url, **options)
    try:
        yield await AsyncBlog(engine).fill()
    finally:
        await engine.dispose()

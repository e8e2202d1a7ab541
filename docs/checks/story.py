"""
The blog that the pages tell of: two users, three posts, in the current folder.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String, create_engine, event
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    sessionmaker,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.ext.asyncio import AsyncSession


class Base(DeclarativeBase):
    """
    Base of the models.
    """


class User(Base):
    """
    Somebody who writes.
    """

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    posts: Mapped[list[Post]] = relationship(back_populates="author")


class Post(Base):
    """
    What somebody wrote.
    """

    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    author: Mapped[User] = relationship(back_populates="posts")


engine = create_engine("sqlite:///blog.db")
async_engine = create_async_engine("sqlite+aiosqlite:///blog.db")
SessionLocal = sessionmaker(engine)
AsyncSessionLocal = async_sessionmaker(async_engine)


def get_session() -> Iterator[Session]:
    """
    Yield a session, as web frameworks want it.
    """
    with SessionLocal() as session:
        yield session


async def get_async_session() -> AsyncIterator[AsyncSession]:
    """
    Yield an async session.
    """
    async with AsyncSessionLocal() as session:
        yield session


@contextmanager
def counted() -> Iterator[list[str]]:
    """
    Collect the statements that reach the database.
    """
    seen: list[str] = []

    def note(*args: object) -> None:
        seen.append(str(args[2]))

    for each in (engine, async_engine.sync_engine):
        event.listen(each, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        for each in (engine, async_engine.sync_engine):
            event.remove(each, "before_cursor_execute", note)


Base.metadata.create_all(engine)
with SessionLocal.begin() as _session:
    _session.add_all([User(id=1, name="Ann"), User(id=2, name="Bob")])
    _session.add_all(
        [
            Post(id=1, title="Hello", author_id=1),
            Post(id=2, title="Caching", author_id=1),
            Post(id=3, title="Goodbye", author_id=2),
        ]
    )

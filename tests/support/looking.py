"""
Reading and writing the one name that many tests are about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from tests.support.models import User

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.support.databases import AsyncBlog, Blog

NAME = select(User.name).where(User.id == 1)
RENAMING = update(User).where(User.id == 1).values(name="new")
RENAMING_TEXT = "UPDATE users SET name = 'new' WHERE id = 1"


def name(maker: Any) -> str:
    """
    Read the name in a session of its own.
    """
    with maker() as session:
        return str(session.scalars(NAME).one())


def own_name(session: Session) -> str:
    """
    Give the name that a session's own instance has.
    """
    return session.get_one(User, 1).name


def rename(blog: Blog, to: str = "new") -> None:
    """
    Give the user another name, and commit.
    """
    with blog.sessions.begin() as session:
        session.get_one(User, 1).name = to


async def name_async(maker: Any) -> str:
    """
    Read the name in an async session of its own.
    """
    async with maker() as session:
        return str((await session.scalars(NAME)).one())


async def rename_async(blog: AsyncBlog, to: str = "new") -> None:
    """
    Give the user another name, and commit.
    """
    async with blog.sessions.begin() as session:
        (await session.get_one(User, 1)).name = to

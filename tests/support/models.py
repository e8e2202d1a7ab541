"""
The models of a small blog, which most scenarios are about.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """
    The blog's tables.
    """


class User(Base):
    """
    Someone who writes.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    active: Mapped[bool] = mapped_column(default=True)
    posts: Mapped[list[Post]] = relationship(
        back_populates="author", order_by="Post.id"
    )


class Post(Base):
    """
    What was written.
    """

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    published: Mapped[bool] = mapped_column(default=False)
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    author: Mapped[User] = relationship(back_populates="posts")


def people() -> list[User]:
    """
    Give the blog's first users, each with posts, to be added to a session.
    """
    return [
        User(
            id=number,
            name=name,
            posts=[
                Post(id=number * 10 + part, title=f"{name}'s {part}", published=True)
                for part in (1, 2)
            ],
        )
        for number, name in enumerate(("ann", "bob", "eve"), start=1)
    ]

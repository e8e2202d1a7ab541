"""
Users and posts, for tests of the seam between session and connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Integer, bindparam, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.types import JSON

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import sessionmaker


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    about: Mapped[Any] = mapped_column(JSON, default=dict)
    posts: Mapped[list[Post]] = relationship(back_populates="author")


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    author: Mapped[User] = relationship(back_populates="posts")


def fill(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for name in ("ann", "bob"):
            posts = [Post(title=f"{name} {n}") for n in (1, 2)]
            session.add(User(name=name, about={"likes": [name]}, posts=posts))
        session.commit()


BY_ID = select(User).where(User.id == 1)
OLDEST = bindparam("oldest", type_=Integer)


def users(found: Any) -> Any:
    return sorted((user.name, user.about, user.id) for user in found)


def with_posts(found: Any) -> Any:
    return sorted((u.name, sorted(post.title for post in u.posts)) for u in found)


def warmed(maker: sessionmaker[Session], statement: Any = BY_ID) -> Any:
    with maker() as session:
        session.execute(statement).unique().all()
    return statement

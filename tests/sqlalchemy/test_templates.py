"""
Templates make what the loader would make now, not what it made once.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import JSON, PickleType, String, event, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    raiseload,
    selectinload,
)
from sqlalchemy.types import TypeDecorator

from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache

language: ContextVar[str] = ContextVar("language", default="en")


class Translated(TypeDecorator[str]):
    """
    Text that reads differently in each context.
    """

    impl = String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> str:
        return f"{value} in {language.get()}"


class Base(DeclarativeBase):
    """
    Another mapping of the blog's users, and one table more.
    """


class Reader(Base):
    """
    A user whose name is translated.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Translated(50))


class Document(Base):
    """
    What can be changed in place.
    """

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[Any] = mapped_column(JSON)
    more: Mapped[Any] = mapped_column(PickleType)


def test_a_statement_of_which_not_all_answers_have_templates(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    # posts take a further statement, but for nobody's
    for number in (99, 99, 99, 99, 1, 1, 1, 1, 99, 1):
        with maker() as session:
            statement = select(User).where(User.id == number)
            found = session.scalars(statement.options(selectinload(User.posts))).all()
            assert [len(user.posts) for user in found] == [2] * (number == 1)


def test_a_type_of_the_apps_is_asked_each_time(blog: Blog, cache: YokedCache) -> None:
    maker = blog.attached(cache)
    for spoken in ("en", "en", "en", "en", "de", "en", "de"):
        token = language.set(spoken)
        with maker() as session:
            assert session.get_one(Reader, 1).name == f"ann in {spoken}"
        with maker() as session:
            reader = session.scalars(select(Reader).where(Reader.id == 1)).one()
            assert reader.name == f"ann in {spoken}"
        language.reset(token)


def test_a_load_listener_that_comes_late_hears_each_load_once(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)

    def load() -> None:
        with maker() as session:
            session.get_one(User, 1)
        with maker() as session:
            session.scalars(select(User).where(User.id == 1)).one()

    for _ in range(5):
        load()
    heard: list[Any] = []

    def hear(instance: User, _: Any) -> None:
        heard.append(instance)

    event.listen(User, "load", hear)
    try:
        load()
    finally:
        event.remove(User, "load", hear)
    assert len(heard) == 2


def test_statements_of_one_text_keep_their_own_options(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    plain = select(User).where(User.id == 1)
    for _ in range(6):
        with maker() as session:
            user = session.scalars(plain.options(raiseload(User.posts))).one()
            with pytest.raises(InvalidRequestError, match="raise"):
                _ = user.posts
        with maker() as session:
            assert len(session.scalars(plain).one().posts) == 2
        with maker() as session:
            assert len(session.get_one(User, 1).posts) == 2


def test_values_that_can_be_changed_are_each_callers_own(
    blog: Blog, cache: YokedCache
) -> None:
    Base.metadata.tables["documents"].create(blog.engine)
    with blog.sessions.begin() as session:
        session.add(Document(id=1, data={"a": [1, {"b": 2}]}, more={"x": [1]}))
    maker = blog.attached(cache)

    @cached(cache=cache)
    def document(session: Session) -> Document:
        return session.get_one(Document, 1)

    @cached(cache=cache)
    def row(session: Session) -> Any:
        return session.execute(select(Document.data, Document.more)).one()

    asks: list[Any] = [
        document,
        row,
        lambda session: session.get(Document, 1),
        lambda session: session.scalars(select(Document)).one(),
        lambda session: session.execute(select(Document.data, Document.more)).one(),
    ]
    for ask in asks * 5:
        with maker() as session:
            found = ask(session)
            assert found.data == {"a": [1, {"b": 2}]}
            assert found.more == {"x": [1]}
            found.data["a"][1]["b"] = 9
            found.data["a"].append(3)
            found.more["x"].clear()

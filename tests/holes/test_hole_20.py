"""
Hole 20: the key must be what the driver is sent, not what the statement says.
"""

from __future__ import annotations

import contextvars
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    bindparam,
    event,
    insert,
    select,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

secret = contextvars.ContextVar("secret", default="")


class Sealed(TypeDecorator[str]):
    """
    Text that is stored with a key that depends on who asks.
    """

    impl = String(50)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return f"{secret.get()}:{value}"


SAFE = Table(
    "safe",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("word", Sealed()),
    Column("content", String(50)),
)


@pytest.fixture
def safe(any_blog: Blog) -> Table:
    table = SAFE
    table.create(any_blog.engine)
    with any_blog.engine.begin() as connection:
        for number, owner in enumerate(("ann", "bob")):
            secret.set(owner)
            row = {"id": number, "word": "open", "content": f"{owner}'s"}
            connection.execute(insert(table).values(row))
    return table


def test_hole_20_bind_processors_are_part_of_the_key(
    any_blog: Blog, cache: YokedCache, safe: Table
) -> None:
    sessions = any_blog.attached(cache)
    query = select(safe.c.content).where(safe.c.word == "open")

    def content() -> str | None:
        with sessions() as session:
            return session.scalars(query).one_or_none()

    for _ in range(2):
        for owner in ("ann", "bob", "nobody"):
            secret.set(owner)
            expected = None if owner == "nobody" else f"{owner}'s"
            with any_blog.counted() as sent:
                assert content() == expected
        assert len(sent) <= 1
    secret.set("ann")
    with any_blog.counted() as sent:
        assert content() == "ann's"
    assert sent == []


VARIANTS: list[Callable[[Session, Any], Any]] = [
    lambda s, x: s.scalars(select(User.name).where(User.id == x)).all(),
    lambda s, x: s.scalars(select(User.name).where(User.id.in_([x, x]))).all(),
    lambda s, x: s.scalars(select(User.name).where(User.id < x)).all(),
    lambda s, x: s.scalars(select(User.name).order_by(User.id).limit(x)).all(),
    lambda s, x: s.scalars(
        select(User.name).where(User.id == bindparam("number")), {"number": x}
    ).all(),
    lambda s, x: s.scalars(
        select(User.name).where(User.id == bindparam("n", callable_=lambda: x))
    ).all(),
    lambda s, x: s.scalars(select(User.name).where(User.id == x, true())).all(),
]


@pytest.mark.parametrize("number", range(len(VARIANTS)))
def test_hole_20_values_bound_in_any_way_are_part_of_the_key(
    any_blog: Blog, cache: YokedCache, number: int
) -> None:
    sessions = any_blog.attached(cache)
    for _ in range(2):
        for value in (1, 2, 3):
            with any_blog.sessions() as session:
                truth = VARIANTS[number](session, value)
            with sessions() as session:
                assert VARIANTS[number](session, value) == truth


def test_hole_20_a_callable_is_asked_once_an_execution(
    any_blog: Blog, cache: YokedCache
) -> None:
    def ask(maker: Any) -> tuple[list[str], int]:
        asked = itertools.count()

        def following() -> int:
            return next(asked) % 3 + 1

        query = select(User.name).where(User.id == bindparam("n", callable_=following))
        found = []
        for _ in range(6):
            with maker() as session:
                found.append(session.scalars(query).one())
        return found, next(asked)

    truth = ask(any_blog.sessions)
    assert truth == (["ann", "bob", "eve"] * 2, 6)
    assert ask(any_blog.attached(cache)) == truth
    assert cache.stats().total.bypasses == {"callable_parameter": 6}


def test_hole_20_values_that_sqlalchemy_asks_for_are_part_of_the_key(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)
    for _ in range(3):
        for number, name in ((1, "ann"), (2, "bob")):
            with sessions() as session:
                user = session.get_one(User, number)
                query = select(Post.title).where(Post.author == user).limit(1)
                assert session.scalars(query).one() == f"{name}'s 1"
    assert cache.stats().total.hits > 4


class Opened(TypeDecorator[str]):
    """
    Text that reads differently for whoever asks.
    """

    impl = String(50)
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return f"{secret.get()} reads {value}"


class Letter(DeclarativeBase):
    pass


class Note(Letter):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str] = mapped_column(Opened())


def test_hole_20_result_processors_run_for_whoever_asks(
    any_blog: Blog, cache: YokedCache
) -> None:
    Letter.metadata.create_all(any_blog.engine)
    with any_blog.sessions.begin() as session:
        session.add(Note(id=1, content="hello"))
    sessions = any_blog.attached(cache)
    for owner in ("ann", "ann", "ann", "bob", "bob"):
        secret.set(owner)
        with sessions() as session:
            note = session.get_one(Note, 1)
            assert note.content == f"{owner} reads hello"
            (other,) = session.scalars(select(Note).where(Note.id == 1))
            assert other is note
            found = session.scalars(select(Note.content)).one()
            assert found == f"{owner} reads hello"
    assert cache.stats().total.hits > 4


async def test_hole_20_bind_processors_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    async with async_blog.engine.begin() as connection:
        await connection.run_sync(Letter.metadata.create_all)
        await connection.run_sync(SAFE.create)
        for number, owner in enumerate(("ann", "bob")):
            secret.set(owner)
            row = {"id": number, "word": "open", "content": f"{owner}'s"}
            await connection.execute(insert(SAFE).values(row))
    sessions = async_blog.attached(cache)
    query = select(SAFE.c.content).where(SAFE.c.word == "open")
    for owner in ("ann", "bob", "ann", "bob"):
        secret.set(owner)
        async with sessions() as session:
            assert await session.scalar(query) == f"{owner}'s"
    assert cache.stats().total.hits == 2


def test_hole_20_types_of_values_are_part_of_the_key(
    any_blog: Blog, cache: YokedCache
) -> None:
    if any_blog.engine.dialect.name != "sqlite":
        return
    sessions = any_blog.attached(cache)
    from sqlalchemy import literal

    def kind(value: Any) -> Any:
        with sessions() as session:
            return session.scalar(select(literal(value, String)))

    for _ in range(2):
        assert [type(kind(value)) for value in ("1", 1, 1.0)] == [str, int, float]


def test_hole_20_a_statement_rewritten_on_its_way_is_not_stored(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache, vary=None)
    tenant = ["1"]

    def rewrite(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> tuple[str, Any]:
        return sql.replace("1 = 1", f"users.id = {tenant[0]}"), values

    event.listen(any_blog.engine, "before_cursor_execute", rewrite, retval=True)
    from sqlalchemy import literal_column

    query = select(User.name).where(literal_column("1 = 1"))

    def names() -> list[str]:
        with sessions() as session:
            return list(session.scalars(query))

    for tenant[0], name in (("1", "ann"), ("2", "bob"), ("1", "ann")):
        assert names() == [name]
    assert cache.stats().total.refusals.get("rewritten", 0) == 3


def test_hole_20_refresh_and_populate_existing_go_to_the_database(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)
    with sessions() as session:
        ann = session.get_one(User, 1)
        session.scalars(select(User).where(User.id == 1)).all()
        with any_blog.counted() as sent:
            session.refresh(ann)
        assert len(sent) == 1
        with any_blog.counted() as sent:
            session.get_one(User, 1, populate_existing=True)
        assert len(sent) == 1
